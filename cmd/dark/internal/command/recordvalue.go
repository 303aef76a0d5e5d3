package command

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/client"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/document"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
)

// bareTag is how an SPF, DKIM or DMARC record begins that a shell has taken apart.
var bareTag = regexp.MustCompile(`^v=[A-Za-z0-9]+;?$`)

// besideOthers is what the server says of a CNAME beside other records (RFC 1034 3.6.2), and nextReplace what
// to do then.
const (
	besideOthers = "a CNAME cannot be beside other records"
	nextReplace  = "the same command with --replace, which ends what stands there in the same change"
)

// What the server says of data that it refuses, of their form, and of a type that there is not.
const (
	refusedData = "is not a record of type"
	refusedTake = "is several strings"
	unknownType = "is not a record type"
)

// writtenSo is the form that ends a refusal of data.
var writtenSo = regexp.MustCompile("(?:one is|it is) written `([^`]*)`")

// valueHint adds to a refusal of dark records set what to type: the values that were meant, where the server takes
// them, or else the form that the server shows.
func (r *setRecords) valueHint(ctx context.Context, err error, args []string) error {
	e := *exit.Of(err)
	text := e.Error()
	switch next, ok := placeHint(text, args); {
	case ok:
		e.Next = next
	case refusedName(err, unknownType):
		e.Next = typeHint(args)
	case refusedName(err, ""):
		e.Next = "an owner below the zone, or @ for the zone itself: " +
			setCommand([]string{args[0], "www", args[2]}, args[3:])
	case refusesData(err):
		form := written(text)
		for _, records := range meant(args[2], dotted(args[0], args[2], args[3:])) {
			if r.taken(ctx, args, records) {
				form = records
				break
			}
		}
		if len(form) > 0 {
			e.Next = "one argument for each record: " + setCommand(args[:3], form)
		}
	}
	return &e
}

// placeHint says what to do about records that cannot be where they are meant, whatever their data.
func placeHint(text string, args []string) (next string, ok bool) {
	for _, h := range []struct{ refusal, next string }{
		{besideOthers, nextReplace},
		{"a CNAME cannot be at the apex", "an address: " + setCommand([]string{args[0], args[1], "A"},
			[]string{"192.0.2.1"})},
		{"a name has at most one", "one value: " + setCommand(args[:3], args[3:4])},
		{"the SOA belongs to the zone itself", "dark get zone " + inShell(args[0]) +
			" -o yaml, edit its spec, and dark apply -f it"},
		{"are made by signing", ""},
		{"is a type of questions", ""},
		{"belongs to the parent zone", ""},
		{"has no agreed meaning", ""},
	} {
		if strings.Contains(text, h.refusal) {
			return h.next, true
		}
	}
	return "", false
}

// refusedName reports whether the server refused the record set's name for a reason.
func refusedName(err error, reason string) bool {
	for _, v := range exit.Violations(err) {
		if strings.HasSuffix(v.Field, "name") && strings.Contains(v.Description, reason) {
			return true
		}
	}
	return false
}

func refusesData(err error) bool {
	text := exit.Of(err).Error()
	return strings.Contains(text, refusedData) || strings.Contains(text, refusedTake)
}

// written is the form in a refusal.
func written(text string) []string {
	m := writtenSo.FindStringSubmatch(text)
	if m == nil {
		return nil
	}
	return []string{m[1]}
}

// taken reports whether the server takes records as data; whether they can be where they are meant is another
// question.
func (r *setRecords) taken(ctx context.Context, args, records []string) bool {
	err := r.call(ctx, func(ctx context.Context, c *client.Client) error {
		_, err := c.Records.UpdateRecordSet(ctx, &dnsv1.UpdateRecordSetRequest{
			RecordSet: &dnsv1.RecordSet{
				Name: recordName(args[0], args[1], args[2]),
				Spec: &dnsv1.RecordSetSpec{Records: records},
			},
			UpdateMask: mask("spec.records"), AllowMissing: true, ValidateOnly: true,
		})
		return err
	})
	return err == nil || strings.Contains(exit.Of(err).Error(), besideOthers)
}

// typeHint says what to type where there is no such type: the TTL or the class of a master file may stand there.
func typeHint(args []string) string {
	example := "dark records set " + inShells(args[:2]) + " A 192.0.2.1"
	switch typ := strings.ToUpper(args[2]); {
	case typ == "IN" && len(args) > 4:
		return "without the class: " + setCommand([]string{args[0], args[1], args[3]}, args[4:])
	case strings.Trim(typ, "0123456789") == "" && len(args) > 4:
		return "the TTL as a flag: " + setCommand([]string{args[0], args[1], args[3]}, args[4:]) + " --ttl " + typ
	}
	return "a type such as A, AAAA, CNAME, MX, NS, TXT, SRV or CAA: " + example
}

// setCommand is a command line for a shell that sets records; names are the zone, the owner and the type.
func setCommand(names, records []string) string {
	return "dark records set " + inShells(names) + " " + inShells(records)
}

// fieldsOf is how many fields a record has, by type.
var fieldsOf = map[string]int{"MX": 2, "CAA": 3, "SSHFP": 3, "DS": 4, "CDS": 4, "SRV": 4, "TLSA": 4, "NAPTR": 6}

// meant are the records that values may have been meant as, the likeliest first, where a shell, or who typed
// them, has taken them apart.
func meant(typ string, values []string) (out [][]string) {
	typ = strings.ToUpper(typ)
	all := strings.Join(values, " ")
	n := fieldsOf[typ]
	words := make([]string, len(values))
	for i, v := range values {
		words[i] = asWord(v)
	}
	switch f := strings.SplitN(all, " ", 3); {
	case typ == "TXT" || typ == "SPF":
		return [][]string{{quotedValue(all)}}
	case len(values) == 1 && typ == "MX":
		return [][]string{{"10 " + all}}
	case len(values) == 1 && typ == "CAA" && len(f) == 3 && !strings.Contains(f[2], `"`):
		return [][]string{{f[0] + " " + f[1] + " " + quotedValue(f[2])}}
	case len(values) == 1:
		return nil
	}
	if n > 0 && len(values)%n == 0 {
		var records []string
		for c := range slices.Chunk(words, n) {
			records = append(records, strings.Join(c, " "))
		}
		out = append(out, records)
	}
	return append(out, []string{strings.Join(words, " ")})
}

// asWord is a value as one word of a record: in quotes where it needs them.
func asWord(v string) string {
	if v == "" || strings.ContainsAny(v, " \t;") && !strings.Contains(v, `"`) {
		return quotedValue(v)
	}
	return v
}

// quotedValue is text as one string of a record.
func quotedValue(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}

// shellSafe are words that no shell changes.
var shellSafe = regexp.MustCompile(`^[A-Za-z0-9@%+=:,./_-]+$`)

// inShell quotes a word for a shell, where it needs that.
func inShell(word string) string {
	if shellSafe.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

func inShells(words []string) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = inShell(w)
	}
	return strings.Join(out, " ")
}

// storedOtherwise says how records are stored where that is not as they were given: strings of more than 255
// octets as several, and what is given twice once.
func storedOtherwise(given, stored []string) (out []string) {
	for _, s := range stored {
		if !slices.Contains(given, s) && len(s) > 255 {
			out = append(out, fmt.Sprintf("a string of more than 255 octets is stored as several (RFC 1035 3.3), "+
				"which readers join: %.40s...", s))
		}
	}
	if n := len(given) - len(stored); n > 0 {
		out = append(out, fmt.Sprintf("%s given twice; each is stored once", isOrAre(n, "record")))
	}
	return out
}

func isOrAre(n int, what string) string {
	if n == 1 {
		return "1 " + what + " is"
	}
	return fmt.Sprintf("%d %ss are", n, what)
}

// recordFlagError says how a value is given whose words were taken for flags, such as the last of v=spf1 -all.
func recordFlagError(c *cobra.Command, err error) error {
	if strings.HasPrefix(err.Error(), "unknown shorthand flag") {
		return exit.New(exit.Usage, `a value in quotes: dark records set example.com @ TXT '"v=spf1 -all"'`, "%v", err)
	}
	return flagError(c, err)
}

// warnRecords tells what of documents' records is stored otherwise than as it was given.
func (a *apply) warnRecords(docs []*document.Document, r *resourcev1.ApplyResponse) {
	var given []string
	for _, d := range docs {
		records := recordsOf(d.Value)
		given = append(given, records...)
		distinct := slices.Compact(slices.Sorted(slices.Values(records)))
		a.warnStored(records, distinct)
	}
	for _, ch := range r.Changes {
		for _, s := range recordsOf(ch.GetAfter().AsMap()) {
			if !slices.Contains(given, s) {
				a.warnStored(nil, []string{s})
			}
		}
	}
}

// recordsOf are the records of a document of a record set.
func recordsOf(doc map[string]any) (records []string) {
	spec, _ := doc["spec"].(map[string]any)
	list, _ := spec["records"].([]any)
	for _, v := range list {
		if s, ok := v.(string); ok {
			records = append(records, s)
		}
	}
	return records
}

// leads are the types whose data ends with the name of another host or zone.
var leads = []string{"CNAME", "DNAME", "MX", "NS", "PTR", "SRV"}

// dotless reports whether a value ends with a name of the zone that lacks its dot: it would be read as below
// the zone, such as mail.example.com.example.com.
func dotless(zone, typ, value string) bool {
	zone = strings.TrimSuffix(shortName(zoneName(zone)), ".")
	fields := strings.Fields(value)
	if len(fields) == 0 || !slices.Contains(leads, strings.ToUpper(typ)) {
		return false
	}
	name := strings.ToLower("." + fields[len(fields)-1])
	return strings.HasSuffix(name, strings.ToLower("."+zone))
}

// relativeTargets warns of names that were most likely meant in full.
func relativeTargets(zone, typ string, values []string) (warnings []string) {
	for _, v := range values {
		if dotless(zone, typ, v) {
			fields := strings.Fields(v)
			warnings = append(warnings, fmt.Sprintf("a name in a record is relative to the zone: this leads to %s.%s; "+
				"a full name ends with a dot", fields[len(fields)-1], zone))
		}
	}
	return warnings
}

// dotted are values with the dots that names of the zone lack.
func dotted(zone, typ string, values []string) []string {
	out := slices.Clone(values)
	for i, v := range out {
		if dotless(zone, typ, v) {
			out[i] = v + "."
		}
	}
	return out
}
