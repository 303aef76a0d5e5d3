package rdata

// examples are a value of each type that has a form of its own, as people write it.
var examples = map[uint16]string{
	1: "192.0.2.1", 2: "ns1.example.net.", 3: "mail.example.net.", 4: "mail.example.net.", 5: "www.example.net.",
	6: "ns1.example.net. hostmaster.example.net. 1 7200 900 1209600 300",
	7: "mail.example.net.", 8: "list.example.net.", 9: "new.example.net.",
	11: "192.0.2.1 TCP 25 80", 12: "host.example.net.", 13: `"Intel Core" "Linux"`,
	14: "owner.example.net. errors.example.net.", 15: "10 mail.example.net.", 16: `"v=spf1 mx -all"`,
	17: "person.example.net. text.example.net.", 18: "1 afs.example.net.", 19: `"311061700956"`,
	20: `"150862028003217" "004"`, 21: "10 relay.example.net.",
	22: "0x47.0005.80.005a00.0000.0001.e133.ffffff000161.00", 23: "host.example.net.",
	25: "512 3 8 AwEAAQ==", 26: "10 net.example. x400.example.", 27: `"-22.6882" "116.8652" "250.0"`,
	28: "2001:db8::1", 29: "51 30 12.748 N 0 7 39.611 W 0.00m", 31: "012345", 32: "012345",
	33: "10 5 443 host.example.net.", 35: `100 50 "s" "SIP+D2U" "" _sip._udp.example.net.`,
	36: "10 kx.example.net.", 37: "PKIX 0 0 AQID", 38: "0 2001:db8::1", 39: "other.example.net.", 40: "1 2 3 AQID",
	42: "1:192.0.2.0/24 !1:192.0.2.64/28",
	43: "12345 13 2 " + sha256Example, 59: "12345 13 2 " + sha256Example, 32768: "12345 13 2 " + sha256Example,
	32769: "12345 13 2 " + sha256Example, 44: "4 2 " + sha256Example, 45: "10 1 2 192.0.2.1 AQID",
	48: "257 3 13 " + p256Example, 49: "AAIBAQID", 52: "3 1 1 " + sha256Example, 53: "3 1 1 " + sha256Example,
	55: "2 200100107b1a74df365639cc39f1d578 AwEAAQ==", 56: `"text"`, 57: "0 3 8 AwEAAQ==",
	58: "before.example.net. after.example.net.", 60: "257 3 13 " + p256Example, 61: "AQIDBAUG",
	62: "66 3 A NS AAAA", 63: "2018031900 1 1 " + sha384Example,
	64: `1 svc.example.net. alpn="h2,h3" port=8443`, 65: `1 . alpn="h2,h3"`,
	66: "CDS NOTIFY 5359 scanner.example.net.", 67: "AQID", 68: "AQID", 99: `"v=spf1 mx -all"`,
	100: `"person"`, 101: "1000", 102: "1000", 104: "10 14:4fff:ff20:ee64", 105: "10 192.0.2.1",
	106: "10 2001:db8:1140:1000", 107: "10 l64.example.net.", 108: "00-00-5e-00-53-2a",
	109: "00-00-5e-ef-10-00-00-2a", 256: `10 1 "https://www.example.net/"`, 257: `0 issue "ca.example.net"`,
	258: `"app-name:WOLFGANG"`, 259: `0 1 2 "text/plain" aGk=`, 260: "10 0 1 192.0.2.1",
	261: `"qnamemin" "exterr=15-17"`, 262: `"ETH" "0x1"`, 263: `"text"`, 264: "4294967298",
}

// Octets of examples that have a fixed number of them.
const (
	sha256Example = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	sha384Example = sha256Example + "0123456789abcdef0123456789abcdef"
	p256Example   = "oJMRESz5E4gYzS/q6XDrvU1qMPYIjCWzJaOau8XNEZeqCYKD5ar0IRd8KqXXFJkqmVfRvMGPmM1x8fGAa2XhSA=="
)

// Example is a value that Parse takes of a type, for messages.
func Example(typ uint16) string {
	if e, ok := examples[typ]; ok {
		return e
	}
	return `\# 3 010203`
}
