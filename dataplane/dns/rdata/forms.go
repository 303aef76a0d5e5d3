package rdata

import "fmt"

// form is how a type's data are written: its fields in order.
type form struct {
	fields []field
	// check says what is wrong with data that have all fields; "" when nothing is.
	check func(rd []byte) string
	blame int // the word that a fault is told at
}

// Mnemonics of numbers.
var (
	// algorithms are those of the IANA registry "DNS Security Algorithm Numbers", also as
	// BIND writes them.
	algorithms = map[string]uint64{
		"RSAMD5": 1, "DH": 2, "DSA": 3, "ECC": 4, "RSASHA1": 5, "NSEC3DSA": 6, "DSA-NSEC3-SHA1": 6, "NSEC3RSASHA1": 7,
		"RSASHA1-NSEC3-SHA1": 7, "RSASHA256": 8, "RSASHA512": 10, "ECC-GOST": 12, "ECCGOST": 12, "ECDSAP256SHA256": 13,
		"ECDSAP384SHA384": 14, "ED25519": 15, "ED448": 16, "INDIRECT": 252, "PRIVATEDNS": 253, "PRIVATEOID": 254,
	}
	digests = map[string]uint64{
		"SHA-1": 1, "SHA1": 1, "SHA-256": 2, "SHA256": 2, "GOST": 3, "SHA-384": 4,
		"SHA384": 4,
	}
	certificates = map[string]uint64{
		"PKIX": 1, "SPKI": 2, "PGP": 3, "IPKIX": 4, "ISPKI": 5, "IPGP": 6, "ACPKIX": 7,
		"IACPKIX": 8, "URI": 253, "OID": 254,
	}
	protocols    = map[string]uint64{"TCP": 6, "UDP": 17}
	keyProtocols = map[string]uint64{"NONE": 0, "TLS": 1, "EMAIL": 2, "DNSSEC": 3, "IPSEC": 4, "ALL": 255}
	schemes      = map[string]uint64{"NOTIFY": 1} // RFC 9859 2.1
)

func algorithm() field { return mnemonic("algorithm", 1, algorithms) }

func of(fields ...field) form { return form{fields: fields} }

// checked is the form with a check of the whole; what it finds is told at a word.
func (f form) checked(check func([]byte) string, blame int) form {
	f.check, f.blame = check, blame
	return f
}

// Forms that several types have.
var (
	oneName = of(domain("name"))
	textual = of(texts("text"))
	key     = of(unsigned("flags", 2), mnemonic("protocol", 1, keyProtocols), algorithm(), encoded64("key", 1))
	digest  = form{
		fields: []field{
			unsigned("key tag", 2), algorithm(), mnemonic("digest type", 1, digests), hexadecimal("digest", 1),
		},
		check: lengthOf("digest", 3, 4, map[byte]int{1: 20, 2: 32, 4: 48}), blame: 3, // RFC 4034 5.1.4, 4509, 6605
	}
	tlsa = of(unsigned("usage", 1), unsigned("selector", 1), unsigned("matching type", 1),
		hexadecimal("certificate data", 1))
	svcb  = form{fields: []field{unsigned("priority", 2), domain("target"), params()}, check: checkSVCB, blame: 2}
	rrsig = of(typeCode("type covered"), algorithm(), unsigned("labels", 1), timer("original TTL"),
		moment("expiration"),
		moment("inception"), unsigned("key tag", 2), domain("signer"), encoded64("signature", 1))
)

func numberAndName(number, name string) form { return of(unsigned(number, 2), domain(name)) }

// forms are the types that have a form of their own. All others are written \# (RFC 3597 5).
var forms = map[uint16]form{
	1: of(ipv4("address")),
	2: oneName, 3: oneName, 4: oneName, 5: oneName, 7: oneName, 8: oneName, 9: oneName, 12: oneName, 23: oneName,
	39: oneName,
	6: of(domain("primary name server"), domain("mailbox"), unsigned("serial", 4), timer("refresh"), timer("retry"),
		timer("expire"), timer("minimum")),
	11: of(ipv4("address"), mnemonic("protocol", 1, protocols), services()),
	13: of(text("CPU"), text("operating system")),
	14: of(domain("responsible mailbox"), domain("mailbox for errors")),
	15: numberAndName("preference", "mail server"),
	16: textual, 56: textual, 99: textual, 258: textual, 261: textual, 262: textual, 263: textual,
	17: of(domain("mailbox"), domain("name of the text")),
	18: numberAndName("subtype", "host"),
	19: of(text("address")),
	20: of(text("address"), optionalText("subaddress")),
	21: numberAndName("preference", "host"),
	22: of(nsap("address")),
	24: rrsig, 46: rrsig,
	25: {
		fields: []field{unsigned("flags", 2), mnemonic("protocol", 1, keyProtocols), algorithm(), encoded64("key", 0)},
		check:  checkKey, blame: 3,
	},
	26: of(unsigned("preference", 2), domain("RFC 822 domain"), domain("X.400 domain")),
	27: of(text("longitude"), text("latitude"), text("altitude")),
	28: of(ipv6("address")),
	29: of(place()),
	31: of(hexadecimal("identifier", 1)), 32: of(hexadecimal("locator", 1)),
	33: of(unsigned("priority", 2), unsigned("weight", 2), unsigned("port", 2), domain("target")),
	35: of(unsigned("order", 2), unsigned("preference", 2), text("flags"), text("services"), text("regular expression"),
		domain("replacement")).checked(checkNAPTR, 4),
	36: numberAndName("preference", "exchanger"),
	37: of(mnemonic("certificate type", 2, certificates), unsigned("key tag", 2), algorithm(),
		encoded64("certificate", 1)),
	38: of(unsigned("length of the prefix", 1), suffix()),
	40: of(unsigned("meaning", 1), unsigned("coding", 1), unsigned("subcoding", 1), encoded64("data", 0)),
	42: of(prefixes()),
	43: digest, 59: digest, 32768: digest, 32769: digest,
	44: { // RFC 4255 3.1.3, 6594
		fields: []field{
			unsigned("algorithm", 1), unsigned("fingerprint type", 1), hexadecimal("fingerprint", 1),
		},
		check: lengthOf("fingerprint", 1, 2, map[byte]int{1: 20, 2: 32}), blame: 2,
	},
	45: of(unsigned("precedence", 1), unsigned("type of the gateway", 1), unsigned("algorithm", 1),
		gateway("gateway", 1), encoded64("key", 0)).checked(checkIPSECKEY, 3),
	47: of(domain("next name"), bitmap()),
	48: key, 57: key, 60: key,
	49: of(encoded64("identity", 1)),
	50: of(unsigned("hash algorithm", 1), unsigned("flags", 1), unsigned("iterations", 2), salt("salt"),
		hashed("next hash"), bitmap()),
	51: of(unsigned("hash algorithm", 1), unsigned("flags", 1), unsigned("iterations", 2), salt("salt")),
	52: tlsa, 53: tlsa,
	55: of(hip()),
	58: of(domain("previous name"), domain("next name")),
	61: of(encoded64("key", 1)),
	62: of(unsigned("serial", 4), unsigned("flags", 2), bitmap()),
	63: { // RFC 8976 2.2.4, 5.3
		fields: []field{
			unsigned("serial", 4), unsigned("scheme", 1), unsigned("hash algorithm", 1), hexadecimal("digest", 12),
		},
		check: lengthOf("digest", 5, 6, map[byte]int{1: 48, 2: 64}), blame: 3,
	},
	64: svcb, 65: svcb,
	66:  of(typeCode("type"), mnemonic("scheme", 1, schemes), unsigned("port", 2), domain("target")), // RFC 9859 2.1
	67:  of(encoded64("entity tag", 1)),                                                              // RFC 9886
	68:  of(encoded64("endorsement", 1)),
	100: of(text("information")),
	101: of(unsigned("user", 4)),
	102: of(unsigned("group", 4)),
	104: of(unsigned("preference", 2), groups("node identifier", 4, 2, ":")),
	105: of(unsigned("preference", 2), ipv4("locator")),
	106: of(unsigned("preference", 2), groups("locator", 4, 2, ":")),
	107: numberAndName("preference", "pointer"),
	108: of(groups("address", 6, 1, "-")),
	109: of(groups("address", 8, 1, "-")),
	256: {fields: []field{unsigned("priority", 2), unsigned("weight", 2), octets("target")}, check: checkURI, blame: 2},
	257: of(unsigned("flags", 1), tag("tag"), octets("value")),
	259: of(unsigned("enterprise", 4), unsigned("type", 4), unsigned("location", 1), text("media type"),
		dash64("data")),
	260: of(unsigned("precedence", 1), relayKind(), gateway("relay", 1)),
	264: of(unsigned("node number", 8)),
}

// checkKey refuses a KEY that has none, unless its flags say so (RFC 2535 3.1.2).
func checkKey(rd []byte) string {
	if len(rd) == 4 && rd[0]&0xc0 != 0xc0 {
		return "the key is missing"
	}
	return ""
}

// checkURI: the target must not be empty (RFC 7553 4.4).
func checkURI(rd []byte) string {
	if len(rd) <= 4 {
		return "the target is empty"
	}
	return ""
}

// lengthOf checks the octets of a hash, which begins at from and whose kind is the octet at
// kind. BIND refuses other lengths; a kind that is not listed has any.
func lengthOf(what string, kind, from int, lengths map[byte]int) func(rd []byte) string {
	return func(rd []byte) string {
		if want := lengths[rd[kind]]; want != 0 && len(rd)-from != want {
			return fmt.Sprintf("the %s has %d octets, and one of type %d has %d", what, len(rd)-from, rd[kind], want)
		}
		return ""
	}
}
