package peers

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"testing"

	mdns "github.com/miekg/dns"
)

// rule is one reason for a difference. testdata/differences.txt keeps the list: the
// rule's name, the part of the answer it explains, how often in a million questions it
// may, and why the difference is right. What no rule explains fails.
type rule struct {
	name, part string
	most       int
	applies    func(ours *mdns.Msg, theirs []*mdns.Msg) bool
}

// ruleTests say when each rule of the list applies; theirs are the peers that agree.
var ruleTests = map[string]func(ours *mdns.Msg, theirs []*mdns.Msg) bool{
	"alias-into-own-zone": func(ours *mdns.Msg, theirs []*mdns.Msg) bool {
		return ours.Truncated == theirs[0].Truncated && followsOn(theirs[0].Answer, ours.Answer)
	},
	"referral-glue-or-tc": func(ours *mdns.Msg, theirs []*mdns.Msg) bool {
		return ours.Truncated && !theirs[0].Truncated && len(theirs[0].Answer) == 0 && !theirs[0].Authoritative
	},
	"dname-below-itself": func(ours *mdns.Msg, theirs []*mdns.Msg) bool {
		return !ours.Truncated && theirs[0].Truncated && leadsBelowItself(ours.Answer)
	},
	"no-addresses-beside-ns": func(ours *mdns.Msg, _ []*mdns.Msg) bool {
		return ours.Question[0].Qtype == mdns.TypeNS && ours.Authoritative && len(texts(ours.Extra, "")) == 0
	},
}

// leadsBelowItself reports whether an answer ends with an alias to a name below a DNAME that
// the answer has already.
func leadsBelowItself(rrs []mdns.RR) bool {
	if len(rrs) == 0 {
		return false
	}
	last, ok := rrs[len(rrs)-1].(*mdns.CNAME)
	for _, rr := range rrs {
		if d, is := rr.(*mdns.DNAME); ok && is && mdns.IsSubDomain(lowerName(d.Hdr.Name), lowerName(last.Target)) {
			return true
		}
	}
	return false
}

// readRules reads the kept list and holds it against the code.
func readRules(t *testing.T) []rule {
	t.Helper()
	f, err := os.Open("testdata/differences.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var rules []rule
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		if line == "" || line[0] == '#' {
			continue
		}
		w := strings.SplitN(line, " | ", 4)
		if len(w) != 4 || ruleTests[w[0]] == nil {
			t.Fatalf("testdata/differences.txt: %q has four parts, or no test", line)
		}
		most, err := strconv.Atoi(w[2])
		if err != nil {
			t.Fatal(err)
		}
		rules = append(rules, rule{w[0], w[1], most, ruleTests[w[0]]})
	}
	if len(rules) != len(ruleTests) {
		t.Fatalf("%d rules in the list, %d in the code", len(rules), len(ruleTests))
	}
	return rules
}

// followsOn reports whether all records of a are in b and b has more, the more being
// owned by a name that an alias leads to.
func followsOn(a, b []mdns.RR) bool {
	have := map[string]bool{}
	targets := map[string]bool{}
	for i, s := range texts(b, "") {
		have[s] = true
		if c, ok := b[i].(*mdns.CNAME); ok {
			targets[lowerName(c.Target)] = true
		}
	}
	own := map[string]bool{}
	for _, s := range texts(a, "") {
		if !have[s] {
			return false
		}
		own[s] = true
	}
	for i, s := range texts(b, "") {
		if !own[s] && !targets[lowerName(b[i].Header().Name)] {
			return false
		}
	}
	return len(b) >= len(a) && len(a) > 0
}
