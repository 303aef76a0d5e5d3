package command

import (
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
)

// bareTag is how an SPF, DKIM or DMARC record begins that a shell has taken apart.
var bareTag = regexp.MustCompile(`^v=[A-Za-z0-9]+;?$`)

// besideOthers is what the server says of a CNAME beside other records (RFC 1034 3.6.2), and nextReplace what
// to do then.
const (
	besideOthers = "a CNAME cannot be beside other records"
	nextReplace  = "the same command with --replace, which ends what stands there in the same change"
)

// valueHint adds to a refusal of dark records set the form that was meant.
func valueHint(err error, args []string) error {
	e := *exit.Of(err)
	switch text := e.Error(); {
	case strings.Contains(text, besideOthers):
		e.Next = nextReplace
	case strings.Contains(text, "is not a record of type"), strings.Contains(text, "is several strings"):
		if form := quoted(args[2], args[3:]); form != "" {
			e.Next = "one argument for each record: dark records set " + strings.Join(args[:3], " ") + " " + form
		}
	}
	return &e
}

// fieldsOf is how many fields a record has, by type.
var fieldsOf = map[string]int{"MX": 2, "CAA": 3, "DS": 3, "SSHFP": 3, "SRV": 4, "TLSA": 4, "NAPTR": 6}

// quoted is how a shell is given the records whose fields, or words, were given as arguments; "" where that is
// not what happened.
func quoted(typ string, values []string) string {
	typ = strings.ToUpper(typ)
	n := fieldsOf[typ]
	switch {
	case typ == "TXT":
		text := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(strings.Join(values, " "))
		return inShell(`"` + text + `"`)
	case typ == "CAA" && len(values) == 1:
		f := strings.SplitN(values[0], " ", 3)
		if len(f) < 3 || strings.Contains(f[2], `"`) {
			return ""
		}
		return inShell(f[0] + " " + f[1] + ` "` + f[2] + `"`)
	case n == 0 || strings.ContainsAny(strings.Join(values, ""), " \t"):
		return ""
	case typ == "MX" && len(values) == 1:
		return inShell("10 " + values[0])
	case len(values)%n != 0:
		return ""
	}
	var records []string
	for ; len(values) > 0; values = values[n:] {
		records = append(records, inShell(strings.Join(values[:n], " ")))
	}
	return strings.Join(records, " ")
}

// inShell quotes a word for a shell.
func inShell(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

// recordFlagError says how a value is given whose words were taken for flags, such as the last of v=spf1 -all.
func recordFlagError(c *cobra.Command, err error) error {
	if strings.HasPrefix(err.Error(), "unknown shorthand flag") {
		return exit.New(exit.Usage, `a value in quotes: dark records set example.com @ TXT '"v=spf1 -all"'`, "%v", err)
	}
	return flagError(c, err)
}
