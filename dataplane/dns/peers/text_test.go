package peers

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/dark-ecosystem/dark/dataplane/dns/masterfile"
	"github.com/dark-ecosystem/dark/dataplane/dns/rdata"
	"github.com/dark-ecosystem/dark/dataplane/dns/zone"
)

const textOrigin = "\x01z\x04test\x00"

// linesOf reads "TYPE DATA" lines of testdata.
func linesOf(t *testing.T, name string) (lines []string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	for l := range strings.Lines(string(b)) {
		if l = strings.TrimSuffix(l, "\n"); l != "" && l[0] != '#' {
			lines = append(lines, l)
		}
	}
	return lines
}

// packText packs a line as the API and a master file do.
func packText(t *testing.T, line string) (uint16, []byte, error) {
	t.Helper()
	typ, data, _ := strings.Cut(line, " ")
	code, err := rdata.ParseType(typ)
	if err != nil {
		t.Fatal(err)
	}
	words, err := rdata.Split(data)
	if err != nil {
		return code, nil, err
	}
	rd, err := rdata.Parse(code, words, textOrigin)
	return code, rd, err
}

// textZone writes lines as records of a zone, one owner each: the types that stand alone
// would be refused beside others.
func textZone(t *testing.T, lines []string) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("$ORIGIN z.test.\n$TTL 300\n@ SOA ns h 1 2 3 4 5\n@ NS ns.example.\n")
	for i, l := range lines {
		fmt.Fprintf(&b, "r%d %s\n", i, l)
	}
	path := filepath.Join(t.TempDir(), "z.zone")
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// bind compiles a zone with BIND and returns the data by owner.
func bind(t *testing.T, path string) (map[string][]byte, error) {
	t.Helper()
	out := path + ".raw"
	said, err := exec.Command("named-compilezone", "-i", "none", "-k", "ignore", "-m", "ignore", "-n", "ignore", "-r",
		"ignore",
		"-F", "raw", "-o", out, "z.test", path).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, said)
	}
	raw, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]byte{}
	// A head of 24 octets; then for each set: length, class, type, covered type, TTL, number of
	// records, the owner after its length, and each record's data after their length.
	for raw = raw[24:]; len(raw) > 0; {
		set := raw[:binary.BigEndian.Uint32(raw)]
		raw = raw[len(set):]
		set = set[18:]
		n := binary.BigEndian.Uint16(set)
		owner := rdata.FormatName(string(set[2 : 2+n]))
		set = set[2+n:]
		got[strings.TrimSuffix(owner, ".z.test.")] = set[2 : 2+binary.BigEndian.Uint16(set)]
	}
	return got, nil
}

// examples are those that refusals show. The SOA's is not at an apex, and BIND has no text of MD, MF, UINFO, UID,
// GID, CLA and IPN.
func examples() (lines []string) {
	not := []int{6, 3, 4, 100, 101, 102, 263, 264}
	for typ := range 1 << 16 {
		if e := rdata.Example(uint16(typ)); e[0] != '\\' && !slices.Contains(not, typ) {
			lines = append(lines, rdata.Mnemonic(uint16(typ))+" "+e)
		}
	}
	return lines
}

// TestEveryFormAsBIND: each form of each type is packed as BIND packs it, is printed so that
// BIND reads the same of it, loads in NSD and Knot, and is data that dnspython takes apart.
func TestEveryFormAsBIND(t *testing.T) {
	lines := append(linesOf(t, "forms.txt"), examples()...)
	var theirs, forPython []string
	var ours [][]byte
	var sets []zone.RRset
	for _, l := range lines {
		typ, rd, err := packText(t, l)
		if err != nil {
			t.Errorf("%s: %v", l, err)
			continue
		}
		if err := rdata.Check(typ, rd); err != nil {
			t.Errorf("%s: packed as %X, and then %v", l, rd, err)
		}
		theirs, ours = append(theirs, l), append(ours, rd)
		sets = append(sets, zone.RRset{
			Owner: fmt.Sprintf("r%d", len(ours)-1), Type: typ, TTL: 300,
			RData: [][]byte{rd},
		})
		forPython = append(forPython, fmt.Sprintf("%d %X", typ, rd))
	}
	exported := exportSets(t, sets)
	for _, path := range []string{textZone(t, theirs), exported} {
		got, err := bind(t, path)
		if err != nil {
			t.Fatalf("BIND: %v", err)
		}
		for i, l := range theirs {
			if !bytes.Equal(got[fmt.Sprintf("r%d", i)], ours[i]) {
				t.Errorf("%s: %s\nours %X\nBIND %X", path, l, ours[i], got[fmt.Sprintf("r%d", i)])
			}
		}
	}
	for _, check := range [][]string{{"nsd-checkzone", "z.test", exported}, {"kzonecheck", "-o", "z.test", exported}} {
		if said, err := exec.Command(check[0], check[1:]...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", check[0], err, said)
		}
	}
	python(t, forPython)
}

// exportSets writes record sets as an export of their zone does.
func exportSets(t *testing.T, sets []zone.RRset) string {
	t.Helper()
	var b bytes.Buffer
	w := masterfile.NewWriter(&b, "z.test")
	err := w.SOA(zone.SOA{MName: "ns.z.test.", RName: "h.z.test.", TTL: 300}, 1)
	// The addresses are for Knot, which wants them of the name servers "@" and "rel".
	ns, address := [][]byte{[]byte("\x02ns\x07example\x00")}, [][]byte{{192, 0, 2, 1}}
	head := []zone.RRset{
		{Owner: "@", Type: 2, TTL: 300, RData: ns},
		{Owner: "@", Type: 1, TTL: 300, RData: address},
		{Owner: "rel", Type: 1, TTL: 300, RData: address},
	}
	for _, set := range append(head, sets...) {
		err = errors.Join(err, w.RRset(set))
	}
	path := filepath.Join(t.TempDir(), "exported.zone")
	if err = errors.Join(err, w.Flush(), os.WriteFile(path, b.Bytes(), 0o644)); err != nil {
		t.Fatal(err)
	}
	return path
}

// python takes data apart with dnspython.
func python(t *testing.T, lines []string) {
	t.Helper()
	cmd := exec.Command("/usr/bin/python3", "-c", `
import sys, dns.rdata
for line in sys.stdin:
    typ, _, octets = line.strip().partition(" ")
    wire = bytes.fromhex(octets)
    try:
        back = dns.rdata.from_wire(1, int(typ), wire, 0, len(wire)).to_wire()
        if back != wire:
            print(line.strip(), "comes back as", back.hex())
    except Exception as e:
        print(line.strip(), repr(e))
`)
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n"))
	said, err := cmd.CombinedOutput()
	if err != nil || len(said) > 0 {
		t.Errorf("dnspython: %v\n%s", err, said)
	}
}

// TestRefusedAsBIND: what is no data of its type is refused here and by BIND.
func TestRefusedAsBIND(t *testing.T) {
	for _, l := range linesOf(t, "refused.txt") {
		if typ, rd, err := packText(t, l); err == nil {
			t.Errorf("%s: taken as %s", l, hex.EncodeToString(rd)+rdata.Mnemonic(typ))
		}
		if _, err := bind(t, textZone(t, []string{l})); err == nil {
			t.Errorf("%s: BIND takes it", l)
		}
	}
}

// TestBrokenFormsAsBIND: of about eight odd forms of each type, Dark takes what BIND takes. Where
// it does not, the table says why.
func TestBrokenFormsAsBIND(t *testing.T) {
	for _, l := range linesOf(t, "broken.txt") {
		who, line, _ := strings.Cut(l, " ")
		line, why, differs := strings.Cut(line, " # ")
		_, _, ours := packText(t, line)
		_, theirs := bind(t, textZone(t, []string{line}))
		got := map[[2]bool]string{
			{true, true}: "both", {true, false}: "dark", {false, true}: "bind", {false, false}: "neither",
		}[[2]bool{ours == nil, theirs == nil}]
		if got != who {
			t.Errorf("%s: taken by %s, want %s\nDark: %v\nBIND: %v", line, got, who, ours, theirs)
		}
		if differs != (who == "dark" || who == "bind") || differs && why == "" {
			t.Errorf("%s: a difference has its reason, and nothing else has one", l)
		}
	}
}

// TestGenerateAsBIND: each form of $GENERATE, and quotes within a word, make the records that
// BIND makes of them, or both refuse them.
func TestGenerateAsBIND(t *testing.T) {
	for _, l := range linesOf(t, "generate.txt") {
		path := filepath.Join(t.TempDir(), "z.zone")
		text := "$ORIGIN z.test.\n$TTL 300\n@ SOA ns h 1 2 3 4 5\n@ NS ns.example.\n" + l + "\n"
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		theirs, theirErr := bind(t, path)
		ours := map[string][]byte{}
		ourErr := masterfile.Read(strings.NewReader(text), "z.test", func(r masterfile.Record) error {
			owner, err := rdata.ParseName(r.Owner, textOrigin)
			if err != nil {
				return err
			}
			rr, bad := zone.ParseRecordSet("z.test", r.Owner, rdata.FormatType(r.Type), 300, []string{r.Text})
			if r.Type != 6 && len(bad) > 0 {
				return fmt.Errorf("%v", bad)
			}
			if r.Type != 6 {
				ours[strings.TrimSuffix(rdata.FormatName(owner), ".z.test.")] = rr.RData[0]
			}
			return nil
		})
		delete(theirs, "z.test.")
		delete(ours, "z.test.")
		if (ourErr == nil) != (theirErr == nil) {
			t.Errorf("%s: Dark %v, BIND %v", l, ourErr, theirErr)
			continue
		}
		if ourErr == nil && fmt.Sprintf("%X", ours) != fmt.Sprintf("%X", theirs) {
			t.Errorf("%s\nDark %q\nBIND %q", l, ours, theirs)
		}
	}
}

// fileRow is a row of the page for operators on what is taken beyond BIND: a line of a file, and one for BIND that
// means the same.
var fileRow = regexp.MustCompile("(?m)^\\| `([^`]*)` \\| [^|`]* \\| `([^`]*)` \\|$")

// TestZoneFilesPageIsTrue: each line of the page is taken here and refused by BIND, and BIND takes what the page has
// in its place.
func TestZoneFilesPageIsTrue(t *testing.T) {
	page, err := os.ReadFile("../../../docs/operations/zone-files.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := fileRow.FindAllStringSubmatch(string(page), -1)
	if len(rows) < 3 {
		t.Fatalf("%d rows", len(rows))
	}
	const head = "$ORIGIN z.test.\n$TTL 300\n@ SOA ns h 1 2 3 4 5\n@ NS ns.example.\n"
	for _, r := range rows {
		var taken [2]string
		for i, line := range r[1:] {
			path := filepath.Join(t.TempDir(), "z.zone")
			if err := os.WriteFile(path, []byte(head+line+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			err := masterfile.Read(strings.NewReader(head+line+"\n"), "z.test", func(r masterfile.Record) error {
				rr, bad := zone.ParseRecordSet("z.test", r.Owner, rdata.FormatType(r.Type), 300, []string{r.Text})
				if bad == nil {
					taken[i] += fmt.Sprintf("%s %d %X\n", r.Owner, r.Type, rr.RData)
				}
				return nil
			})
			if err != nil {
				t.Errorf("%s: %v", line, err)
			}
			if _, err := bind(t, path); (err == nil) != (i == 1) {
				t.Errorf("%s: BIND says %v", line, err)
			}
		}
		if taken[0] != taken[1] {
			t.Errorf("%s means\n%sand %s\n%s", r[1], taken[0], r[2], taken[1])
		}
	}
}
