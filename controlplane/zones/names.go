package zones

import (
	"fmt"
	"strings"

	"golang.org/x/net/idna"
)

// ownerProfile turns the labels of an owner that people typed into A-labels (RFC 5891);
// labels with underscores and stars are no host names and stay as they are.
var ownerProfile = idna.New(idna.MapForLookup(), idna.Transitional(false))

// zoneIDs is the name rule of zones.
func (z *Zones) zoneIDs(ids []string) ([]string, error) {
	apex, err := z.o.CanonicalApex(decode(ids[0]))
	if err != nil {
		return nil, err
	}
	return []string{encode(apex)}, nil
}

// setIDs is the name rule of record sets.
func (z *Zones) setIDs(ids []string) ([]string, error) {
	apex, err := z.o.CanonicalApex(decode(ids[0]))
	if err != nil {
		return nil, err
	}
	owner, err := z.owner(apex, decode(ids[1]))
	if err != nil {
		if strings.Contains(err.Error(), ids[1]) { // it names it
			return nil, fmt.Errorf("the owner %w", err)
		}
		return nil, fmt.Errorf("owner %q: %w", ids[1], err)
	}
	typ, err := z.o.ParseType(ids[2])
	if err != nil {
		return nil, err
	}
	return []string{encode(apex), encode(owner), z.o.FormatType(typ)}, nil
}

// owner is the canonical form of an owner: relative, lower case (RFC 4343), A-labels.
func (z *Zones) owner(apex, text string) (string, error) {
	if !ascii(text) {
		labels := strings.Split(text, ".")
		for i, l := range labels {
			if ascii(l) {
				continue
			}
			a, err := ownerProfile.ToASCII(l)
			if err != nil {
				return "", err
			}
			labels[i] = a
		}
		text = strings.Join(labels, ".")
	}
	owner, err := z.o.CanonicalOwner(apex, text)
	if err == nil && owner == "" {
		err = fmt.Errorf("it is not within the zone %s", apex)
	}
	return strings.ToLower(owner), err
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// encode makes of a name one segment of a resource's name.
func encode(s string) string {
	if !strings.ContainsAny(s, "/%") {
		return s
	}
	return strings.NewReplacer("%", "%25", "/", "%2F").Replace(s)
}

// decode undoes encode; a percent sign that begins no escape of ours stands for itself.
func decode(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	return strings.NewReplacer("%25", "%", "%2F", "/", "%2f", "/").Replace(s)
}
