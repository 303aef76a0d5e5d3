package s3xml

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

var when = time.Date(2026, 11, 23, 4, 5, 6, 789_000_000, time.UTC)

func listing(n int, url bool) *ListObjects {
	l := &ListObjects{
		Bucket: "photos", Prefix: "a/", Delimiter: "/", MaxKeys: 1000, V2: true, URL: url,
		Truncated: true, NextContinuationToken: "tok",
	}
	owner := &Owner{ID: strings.Repeat("a1", 32), DisplayName: "acme"}
	for i := range n {
		l.Contents = append(l.Contents, Entry{
			Key: fmt.Appendf(nil, "a/year=2026/month=11/photo %06d & more.jpg", i), LastModified: when,
			ETag: []byte("0123456789abcdef0123456789abcdef"), Size: int64(i) << 10, Algorithm: "CRC64NVME",
			Owner: owner,
		})
	}
	return l
}

// TestListingIsAsAtAWS compares whole documents with what AWS sends.
func TestListingIsAsAtAWS(t *testing.T) {
	l := &ListObjects{
		Bucket: "b", Prefix: "p/", Delimiter: "/", MaxKeys: 2, V2: true, StartAfter: "p/0", ContinuationToken: "c",
		NextContinuationToken: "n", Truncated: true,
		Contents: []Entry{{
			Key: []byte("p/a&b"), LastModified: when, ETag: []byte("e-1"), Size: 7,
			Algorithm: "SHA256", Composite: true,
		}},
		CommonPrefixes: [][]byte{[]byte("p/<x>/")},
	}
	checkDocument(t, l.Append(nil),
		`<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix>p/</Prefix><StartAfter>p/0</StartAfter><ContinuationToken>c</ContinuationToken><NextContinuationToken>n</NextContinuationToken><KeyCount>2</KeyCount><MaxKeys>2</MaxKeys><Delimiter>/</Delimiter><IsTruncated>true</IsTruncated><Contents><Key>p/a&amp;b</Key><LastModified>2026-11-23T04:05:06.789Z</LastModified><ETag>&quot;e-1&quot;</ETag><ChecksumAlgorithm>SHA256</ChecksumAlgorithm><ChecksumType>COMPOSITE</ChecksumType><Size>7</Size><StorageClass>STANDARD</StorageClass></Contents><CommonPrefixes><Prefix>p/&lt;x&gt;/</Prefix></CommonPrefixes></ListBucketResult>`)

	v1 := &ListObjects{Bucket: "b", Marker: "m n", NextMarker: "~", MaxKeys: 1000, URL: true}
	checkDocument(t, v1.Append(nil),
		`<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix></Prefix><Marker>m+n</Marker><NextMarker>%7E</NextMarker><MaxKeys>1000</MaxKeys><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated></ListBucketResult>`)

	v := &ListVersions{Bucket: "b", MaxKeys: 3, Versions: []VersionEntry{
		{
			Entry:     Entry{Key: []byte("k"), LastModified: when, ETag: []byte("e"), Size: 1, Owner: &Owner{ID: "o"}},
			VersionID: "null", Latest: false,
		},
		{
			Entry: Entry{Key: []byte("k"), LastModified: when, Owner: &Owner{ID: "o"}}, VersionID: "v2", Latest: true,
			Marker: true,
		},
	}}
	checkDocument(t, v.Append(nil),
		`<ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix></Prefix><KeyMarker></KeyMarker><VersionIdMarker></VersionIdMarker><MaxKeys>3</MaxKeys><IsTruncated>false</IsTruncated><Version><Key>k</Key><VersionId>null</VersionId><IsLatest>false</IsLatest><LastModified>2026-11-23T04:05:06.789Z</LastModified><ETag>&quot;e&quot;</ETag><Size>1</Size><Owner><ID>o</ID></Owner><StorageClass>STANDARD</StorageClass></Version><DeleteMarker><Key>k</Key><VersionId>v2</VersionId><IsLatest>true</IsLatest><LastModified>2026-11-23T04:05:06.789Z</LastModified><Owner><ID>o</ID></Owner></DeleteMarker></ListVersionsResult>`)
}

func checkDocument(t *testing.T, got []byte, want string) {
	t.Helper()
	if string(got) != header+want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestEscapes: markup, what XML forbids, line ends that a parser would fold, odd UTF-8.
func TestEscapes(t *testing.T) {
	for _, c := range []struct{ in, xml, url string }{
		{"plain-name_1.txt", "plain-name_1.txt", "plain-name_1.txt"},
		{"a/b c+d%2F*~", "a/b c+d%2F*~", "a/b+c%2Bd%252F*%7E"},
		{`<&>"'`, "&lt;&amp;&gt;&quot;&apos;", "%3C%26%3E%22%27"},
		{"\x01\x1f\x7f", "\uFFFD\uFFFD&#x7f;", "%01%1F%7F"},
		{"\t\r\n", "&#x9;&#xd;&#xa;", "%09%0D%0A"},
		{"žluť日本", "žluť日本", "%C5%BElu%C5%A5%E6%97%A5%E6%9C%AC"},
		{"\U0001F600", "\U0001F600", "%F0%9F%98%80"},
		{"a\uFFFEb\uFFFFc", "a\uFFFDb\uFFFDc", "a%EF%BF%BEb%EF%BF%BFc"},
		{"a\xffb\xc3", "a\uFFFDb\uFFFD", "a%FFb%C3"},
		{"\u0085\u2028", "\u0085\u2028", "%C2%85%E2%80%A8"},
		{"", "", ""},
	} {
		if got := string(appendEscaped(nil, c.in)); got != c.xml {
			t.Errorf("XML of %q: %q, want %q", c.in, got, c.xml)
		}
		if got := string(appendEscaped(nil, []byte(c.in))); got != c.xml {
			t.Errorf("XML of octets %q: %q, want %q", c.in, got, c.xml)
		}
		if got := string(AppendURL(nil, c.in)); got != c.url {
			t.Errorf("URL of %q: %q, want %q", c.in, got, c.url)
		}
	}
}

// FuzzEscapes: a parser reads back what was written, where XML can hold it at all.
func FuzzEscapes(f *testing.F) {
	for _, s := range []string{"a&b", "\x01", "\r\n\t", "]]>", "\xff", "\uFFFE", "日本"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out := appendEscaped(nil, s)
		if strings.ContainsAny(string(out), "<>\"'\r\n") {
			t.Fatalf("markup is left in %q", out)
		}
		var back struct {
			Text string `xml:",chardata"`
		}
		err := xml.Unmarshal(append(append([]byte("<a>"), out...), "</a>"...), &back)
		legal := !strings.ContainsFunc(s, func(r rune) bool {
			return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF
		})
		if legal && (err != nil || back.Text != strings.ToValidUTF8(s, "\uFFFD") && !strings.Contains(s, "\xff") &&
			validRunes(s)) {
			t.Fatalf("%q came back as %q: %v", s, back.Text, err)
		}
	})
}

func validRunes(s string) bool { return strings.ToValidUTF8(s, "") == s }

// TestListingAllocatesNothing but the buffer, which the caller keeps.
func TestListingAllocatesNothing(t *testing.T) {
	l, b := listing(1000, false), make([]byte, 0, 1<<20)
	v := &ListVersions{Bucket: "b"}
	for _, e := range l.Contents {
		v.Versions = append(v.Versions, VersionEntry{Entry: e, VersionID: "null", Latest: true})
	}
	if n := testing.AllocsPerRun(10, func() { b = l.Append(b[:0]) }); n > 0 {
		t.Errorf("%v allocations for a listing", n)
	}
	if n := testing.AllocsPerRun(10, func() { b = v.Append(b[:0]) }); n > 0 {
		t.Errorf("%v allocations for versions", n)
	}
}

func BenchmarkList1000(b *testing.B) {
	for _, url := range []bool{false, true} {
		b.Run(fmt.Sprintf("url=%v", url), func(b *testing.B) {
			l, buf := listing(1000, url), make([]byte, 0, 1<<20)
			b.ReportAllocs()
			for b.Loop() {
				buf = l.Append(buf[:0])
			}
			b.SetBytes(int64(len(buf)))
		})
	}
}

// BenchmarkReflection is what encoding/xml takes for the same keys.
func BenchmarkReflection(b *testing.B) {
	type contents struct {
		Key, LastModified, ETag, ChecksumAlgorithm, ChecksumType string
		Size                                                     int64
		ID                                                       string `xml:"Owner>ID"`
		DisplayName                                              string `xml:"Owner>DisplayName"`
		StorageClass                                             string
	}
	var doc struct {
		XMLName  xml.Name `xml:"ListBucketResult"`
		Contents []contents
	}
	for _, e := range listing(1000, false).Contents {
		doc.Contents = append(doc.Contents, contents{
			string(e.Key), "2026-11-23T04:05:06.789Z", string(e.ETag),
			e.Algorithm, "FULL_OBJECT", e.Size, e.Owner.ID, e.Owner.DisplayName, "STANDARD",
		})
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := xml.NewEncoder(io.Discard).Encode(doc); err != nil {
			b.Fatal(err)
		}
	}
}
