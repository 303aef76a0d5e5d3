package rdata

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Keys of SVCB that have a form of their own (RFC 9460 14.3.2, RFC 9461, RFC 9540).
const (
	keyMandatory = 0
	keyALPN      = 1
	keyNoDefault = 2
	keyPort      = 3
	keyIPv4      = 4
	keyECH       = 5
	keyIPv6      = 6
	keyDoHPath   = 7
	keyOHTTP     = 8
	keyInvalid   = 65535
)

var paramNames = []string{
	"mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint", "dohpath",
	"ohttp",
}

type param struct {
	key   uint16
	value []byte
}

func keyName(k uint16) string {
	if int(k) < len(paramNames) {
		return paramNames[k]
	}
	return "key" + strconv.Itoa(int(k))
}

// params are the SvcParams of SVCB and HTTPS to the end (RFC 9460 2.1, 2.2).
func params() field { return field{readParams, showParams} }

func readParams(p *input) error {
	var all []param
	for p.at < len(p.words) {
		w, _ := p.next("parameter")
		q, err := parseParam(w)
		if err != nil {
			return p.bad("%v", err)
		}
		if slices.ContainsFunc(all, func(o param) bool { return o.key == q.key }) {
			return p.bad("%s is given twice (RFC 9460 2.1)", keyName(q.key))
		}
		all = append(all, q)
	}
	slices.SortFunc(all, func(a, b param) int { return int(a.key) - int(b.key) })
	for _, q := range all {
		p.out = binary.BigEndian.AppendUint16(p.out, q.key)
		p.out = binary.BigEndian.AppendUint16(p.out, uint16(len(q.value)))
		p.out = append(p.out, q.value...)
	}
	return nil
}

func parseParam(w string) (param, error) {
	name, text, hasValue := strings.Cut(w, "=")
	key, generic, err := parseKey(name)
	if err != nil {
		return param{}, err
	}
	value, err := Unquote(text)
	if err != nil {
		return param{}, fmt.Errorf("%s: %w", name, err)
	}
	if hasValue && text == "" && !generic && key != keyNoDefault && key != keyOHTTP {
		return param{}, fmt.Errorf("%s has no value after =", name)
	}
	if !generic {
		if value, err = packParam(key, value, hasValue); err != nil {
			return param{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	if len(value) > MaxLength {
		return param{}, fmt.Errorf("%s: the value is too long", name)
	}
	if err := checkParam(key, value); err != nil {
		return param{}, fmt.Errorf("%s: %w", name, err)
	}
	return param{key, value}, nil
}

// parseKey reads a key's name; generic says that it was written keyNNN, whose value is
// octets whatever the key is (RFC 9460 2.1).
func parseKey(name string) (key uint16, generic bool, err error) {
	if i := slices.Index(paramNames, name); i >= 0 {
		return uint16(i), false, nil
	}
	digits, ok := strings.CutPrefix(name, "key")
	n, perr := strconv.ParseUint(digits, 10, 16)
	if !ok || perr != nil || n == keyInvalid || strconv.FormatUint(n, 10) != digits {
		return 0, false, fmt.Errorf("%q is not a parameter; unknown ones are written key123", name)
	}
	return uint16(n), true, nil
}

func packParam(key uint16, v []byte, hasValue bool) ([]byte, error) {
	switch key {
	case keyNoDefault, keyOHTTP:
		if len(v) > 0 {
			return nil, errors.New("it has no value")
		}
		return nil, nil
	case keyDoHPath:
		return v, nil
	}
	if !hasValue {
		return nil, errors.New("it needs a value")
	}
	switch key {
	case keyMandatory:
		return packMandatory(string(v))
	case keyALPN:
		return packList(v)
	case keyPort:
		n, err := strconv.ParseUint(string(v), 10, 16)
		if err != nil {
			return nil, fmt.Errorf("%q is not a port", v)
		}
		return binary.BigEndian.AppendUint16(nil, uint16(n)), nil
	case keyIPv4:
		return packAddresses(string(v), 4)
	case keyIPv6:
		return packAddresses(string(v), 16)
	}
	b, err := base64.StdEncoding.DecodeString(string(v))
	if err != nil {
		return nil, errors.New("the value is base64")
	}
	return b, nil
}

func packMandatory(v string) ([]byte, error) {
	var keys []uint16
	for name := range strings.SplitSeq(v, ",") {
		k, _, err := parseKey(name)
		if err != nil {
			return nil, err
		}
		if slices.Contains(keys, k) {
			return nil, fmt.Errorf("%s is listed twice (RFC 9460 8)", name)
		}
		keys = append(keys, k)
	}
	slices.Sort(keys)
	var out []byte
	for _, k := range keys {
		out = binary.BigEndian.AppendUint16(out, k)
	}
	return out, nil
}

// packList reads values with commas between them, where \, is a comma and \\ a backslash
// (RFC 9460 A.1).
func packList(v []byte) ([]byte, error) {
	var out, item []byte
	for i := 0; i <= len(v); i++ {
		switch {
		case i == len(v) || v[i] == ',':
			if len(item) == 0 || len(item) > 255 {
				return nil, errors.New("each value of the list has 1 to 255 octets")
			}
			out = append(append(out, byte(len(item))), item...)
			item = item[:0]
		case v[i] == '\\' && i+1 < len(v):
			i++
			item = append(item, v[i])
		default:
			item = append(item, v[i])
		}
	}
	return out, nil
}

func packAddresses(v string, size int) ([]byte, error) {
	var out []byte
	for a := range strings.SplitSeq(v, ",") {
		b, err := parseAddress(a, size)
		if err != nil {
			return nil, err
		}
		out = append(out, b...)
	}
	return out, nil
}

// checkParam refuses a value in wire format that is none of its key.
func checkParam(key uint16, v []byte) error {
	switch key {
	case keyMandatory:
		if len(v) == 0 || len(v)%2 != 0 {
			return errors.New("it lists at least one key (RFC 9460 8)")
		}
		last := -1
		for c := range slices.Chunk(v, 2) {
			k := int(binary.BigEndian.Uint16(c))
			if k == keyMandatory {
				return errors.New("it must not list itself (RFC 9460 8)")
			}
			if k <= last {
				return errors.New("its keys rise, each listed once (RFC 9460 8)")
			}
			last = k
		}
	case keyALPN:
		if _, ok := splitList(v); !ok {
			return errors.New("the value is no list of protocols (RFC 9460 7.1.1)")
		}
	case keyNoDefault, keyOHTTP:
		if len(v) > 0 {
			return errors.New("it has no value")
		}
	case keyPort:
		if len(v) != 2 {
			return errors.New("the value is no port")
		}
	case keyIPv4, keyIPv6:
		size := 4
		if key == keyIPv6 {
			size = 16
		}
		if len(v) == 0 || len(v)%size != 0 {
			return errors.New("the value is no list of addresses")
		}
	case keyECH:
		if len(v) == 0 {
			return errors.New("the value is empty")
		}
	case keyDoHPath: // RFC 9461 5
		if !utf8.Valid(v) || !strings.HasPrefix(string(v), "/") || !strings.Contains(string(v), "dns") {
			return errors.New("the value is a template with the variable dns, such as /dns-query{?dns}")
		}
	}
	return nil
}

// splitList parts octets that each have their number before them.
func splitList(v []byte) (items [][]byte, ok bool) {
	for len(v) > 0 {
		n := int(v[0])
		if n == 0 || n+1 > len(v) {
			return nil, false
		}
		items, v = append(items, v[1:n+1]), v[n+1:]
	}
	return items, len(items) > 0
}

// takeParams reads parameters in wire format.
func takeParams(b []byte) ([]param, bool) {
	var all []param
	for len(b) > 0 {
		if len(b) < 4 {
			return nil, false
		}
		k, n := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if b = b[4:]; n > len(b) || len(all) > 0 && all[len(all)-1].key >= k || k == keyInvalid {
			return nil, false
		}
		all, b = append(all, param{k, b[:n]}), b[n:]
	}
	return all, true
}

// checkSVCB refuses sets of parameters that clients would have to ignore (RFC 9460 7.1.1, 8).
func checkSVCB(rd []byte) string {
	all, ok := takeParams(paramsOf(rd))
	if !ok {
		return "the parameters do not rise by key (RFC 9460 2.2)"
	}
	has := func(k uint16) bool { return slices.ContainsFunc(all, func(q param) bool { return q.key == k }) }
	for _, q := range all {
		if err := checkParam(q.key, q.value); err != nil {
			return keyName(q.key) + ": " + err.Error()
		}
		if q.key != keyMandatory {
			continue
		}
		for c := range slices.Chunk(q.value, 2) {
			if k := binary.BigEndian.Uint16(c); !has(k) {
				return "mandatory lists " + keyName(k) + ", which the record does not have (RFC 9460 8)"
			}
		}
	}
	switch {
	case has(keyNoDefault) && !has(keyALPN):
		return "no-default-alpn needs alpn beside it (RFC 9460 7.1.1)"
	case len(all) > 0 && binary.BigEndian.Uint16(rd) == 0:
		return "a record of priority 0 is an alias and has no parameters (RFC 9460 2.4.2)"
	}
	return ""
}

// paramsOf is what follows priority and target.
func paramsOf(rd []byte) []byte {
	o := &output{rest: rd}
	if _, ok := o.take(2); !ok || !showDomain(o) {
		return nil
	}
	return o.rest
}

func showParams(o *output) bool {
	all, ok := takeParams(o.rest)
	if !ok {
		return false
	}
	o.rest = nil
	for _, q := range all {
		if checkParam(q.key, q.value) != nil {
			return false
		}
		o.put(showParam(q))
	}
	return true
}

// showParam writes keys that servers of the day may not know as keyNNN, whose value is
// read as octets by each that knows it, too.
func showParam(q param) string {
	name := keyName(q.key)
	var items []string
	switch q.key {
	case keyMandatory:
		for c := range slices.Chunk(q.value, 2) {
			items = append(items, keyName(binary.BigEndian.Uint16(c)))
		}
	case keyNoDefault:
		return name
	case keyALPN:
		list, _ := splitList(q.value)
		for _, item := range list {
			items = append(items, strings.NewReplacer(`\`, `\\`, `,`, `\,`).Replace(string(item)))
		}
		return name + "=" + Quote([]byte(strings.Join(items, ",")))
	case keyPort:
		items = []string{strconv.Itoa(int(binary.BigEndian.Uint16(q.value)))}
	case keyIPv4, keyIPv6:
		size := 4
		if q.key == keyIPv6 {
			size = 16
		}
		for c := range slices.Chunk(q.value, size) {
			a, _ := netip.AddrFromSlice(c)
			items = append(items, a.String())
		}
	case keyECH:
		items = []string{base64.StdEncoding.EncodeToString(q.value)}
	default:
		name = "key" + strconv.Itoa(int(q.key))
		if len(q.value) == 0 {
			return name
		}
		return name + "=" + Quote(q.value)
	}
	return name + "=" + strings.Join(items, ",")
}
