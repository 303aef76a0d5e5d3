package chunked

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	"github.com/dark-ecosystem/dark/dataplane/s3/signature"
	"github.com/dark-ecosystem/dark/internal/sigv4"
)

const (
	secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	date   = "20130524T000000Z"
	scope  = "20130524/us-east-1/s3/aws4_request"
	crc32c = "x-amz-checksum-crc32c"
)

var day = sigv4.Day(time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC))

func options(p signature.Payload, seed string, length int64, trailers ...string) Options {
	return Options{
		Payload: p, Length: length, Trailers: trailers,
		Key: sigv4.Derive(secret, day, "us-east-1"), Seed: seed, Date: date, Scope: scope,
	}
}

// encoder writes aws-chunked bodies, with crypto/hmac and nothing of the code under test.
type encoder struct {
	bytes.Buffer
	payload  signature.Payload
	previous string
}

func (e *encoder) sign(kind string, hashes ...string) string {
	key := sigv4.Derive(secret, day, "us-east-1")
	h := hmac.New(sha256.New, key[:])
	fmt.Fprintf(h, "%s\n%s\n%s\n%s\n%s", kind, date, scope, e.previous, strings.Join(hashes, "\n"))
	e.previous = hex.EncodeToString(h.Sum(nil))
	return e.previous
}

func hashed(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) }

func (e *encoder) chunk(data string) {
	if e.payload == signature.UnsignedTrailer {
		fmt.Fprintf(e, "%x\r\n", len(data))
	} else {
		fmt.Fprintf(e, "%x;chunk-signature=%s\r\n", len(data), e.sign("AWS4-HMAC-SHA256-PAYLOAD", hashed(""),
			hashed(data)))
	}
	if data != "" {
		e.WriteString(data + "\r\n")
	}
}

func (e *encoder) end(trailers map[string]string) {
	e.chunk("")
	canonical := ""
	for _, name := range slices.Sorted(maps.Keys(trailers)) {
		canonical += name + ":" + trailers[name] + "\n"
		e.WriteString(name + ":" + trailers[name] + "\r\n")
	}
	if e.payload == signature.ChunksTrailer {
		e.WriteString("x-amz-trailer-signature:" + e.sign("AWS4-HMAC-SHA256-TRAILER", hashed(canonical)) + "\r\n")
	}
	e.WriteString("\r\n")
}

// encode is a whole body of chunks of these sizes, the last one as long as is left.
func encode(p signature.Payload, seed, data string, trailers map[string]string, sizes ...int) string {
	e := &encoder{payload: p, previous: seed}
	for len(data) > 0 {
		n := len(data)
		if len(sizes) > 0 {
			n, sizes = min(n, sizes[0]), sizes[1:]
		}
		e.chunk(data[:n])
		data = data[n:]
	}
	e.end(trailers)
	return e.String()
}

// TestAmazonsExamples: the bodies of "Transferring Payload in Multiple Chunks" and of
// "Including Trailing Headers", with the signatures that the API Reference gives.
func TestAmazonsExamples(t *testing.T) {
	body := func(signatures [3]string, end string) string {
		return "10000;chunk-signature=" + signatures[0] + "\r\n" + strings.Repeat("a", 65536) + "\r\n" +
			"400;chunk-signature=" + signatures[1] + "\r\n" + strings.Repeat("a", 1024) + "\r\n" +
			"0;chunk-signature=" + signatures[2] + "\r\n" + end
	}
	plain := body([3]string{
		"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
		"0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
		"b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
	}, "\r\n")
	if len(plain) != 66824 {
		t.Fatalf("%d octets, and the example has 66824", len(plain))
	}
	trailing := body([3]string{
		"b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
		"1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
		"2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
	},
		crc32c+
			":sOO8/Q==\r\nx-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n")
	for name, r := range map[string]*Reader{
		"plain": New(strings.NewReader(plain), options(signature.Chunks,
			"4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9", 66560)),
		"trailer": New(strings.NewReader(trailing), options(signature.ChunksTrailer,
			"106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e", 66560, crc32c)),
		"trailer and an empty line": New(strings.NewReader(trailing+"\r\n"), options(signature.ChunksTrailer,
			"106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e", 66560, crc32c)),
	} {
		got, err := io.ReadAll(r)
		if err != nil || string(got) != strings.Repeat("a", 66560) {
			t.Errorf("%s: %d octets, %v", name, len(got), err)
		}
		if name != "plain" && r.Trailers()[crc32c] != "sOO8/Q==" {
			t.Errorf("%s: %v", name, r.Trailers())
		}
	}
}

var payloads = []signature.Payload{signature.Chunks, signature.ChunksTrailer, signature.UnsignedTrailer}

func trailersOf(p signature.Payload) (map[string]string, []string) {
	if !p.Trailing() {
		return nil, nil
	}
	return map[string]string{crc32c: "sOO8/Q=="}, []string{crc32c}
}

// TestRoundTrip: any sizes of chunks and any sizes of reads.
func TestRoundTrip(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 2))
	for round := range 600 {
		p := payloads[round%3]
		data := strings.Repeat("0123456789abcdef", rnd.IntN(3000))
		var sizes []int
		for range rnd.IntN(200) {
			sizes = append(sizes, 1+rnd.IntN([]int{9, 9000}[rnd.IntN(2)]))
		}
		values, names := trailersOf(p)
		body := encode(p, "seed", data, values, sizes...)
		var source io.Reader = strings.NewReader(body)
		if round%5 == 0 {
			source = iotest.HalfReader(source)
		}
		if round%7 == 0 {
			source = iotest.DataErrReader(source)
		}
		r := New(source, options(p, "seed", int64(len(data)), names...))
		got, err := readBy(r, 1+rnd.IntN(20000))
		if err != nil || got != data {
			t.Fatalf("%v: %d of %d octets: %v", p, len(got), len(data), err)
		}
		if !maps.Equal(r.Trailers(), values) && len(values) > 0 {
			t.Fatalf("%v: %v", p, r.Trailers())
		}
		if n, err := r.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
			t.Fatalf("after the end: %d %v", n, err)
		}
	}
}

func readBy(r io.Reader, n int) (string, error) {
	var b strings.Builder
	for p := make([]byte, n); ; {
		n, err := r.Read(p)
		b.Write(p[:n])
		if err == io.EOF {
			return b.String(), nil
		}
		if err != nil {
			return b.String(), err
		}
	}
}

// TestEveryFlipIsFound: any octet of a signed body may be changed, and the end is never
// reached with other data; of an unsigned one, never with another length.
func TestEveryFlipIsFound(t *testing.T) {
	data := "hello, this is the body of an object"
	for _, p := range payloads {
		values, names := trailersOf(p)
		body := encode(p, "seed", data, values, 10, 3)
		for i := range len(body) {
			for _, bit := range []byte{1, 0x20, 0x80} {
				bad := []byte(body)
				bad[i] ^= bit
				r := New(bytes.NewReader(bad), options(p, "seed", int64(len(data)), names...))
				got, err := io.ReadAll(r)
				if err != nil {
					continue
				}
				if len(got) != len(data) || p.SignedChunks() && (string(got) != data || len(values) > 0 &&
					!maps.Equal(values, r.Trailers())) {
					t.Fatalf("%v: octet %d (%q) changed to %q was taken: %q %v", p, i, body[i], bad[i], got,
						r.Trailers())
				}
			}
		}
	}
}

// TestEveryCutIsFound: a body that ends early is an IncompleteBody or worse; only the empty
// line at the very end may be missing.
func TestEveryCutIsFound(t *testing.T) {
	data := "hello, this is the body of an object"
	for _, p := range payloads {
		values, names := trailersOf(p)
		body := encode(p, "seed", data, values, 10, 3)
		for i := range len(body) - 2 {
			r := New(strings.NewReader(body[:i]), options(p, "seed", int64(len(data)), names...))
			if got, err := io.ReadAll(r); err == nil {
				t.Fatalf("%v: cut at %d of %d and taken: %q", p, i, len(body), got)
			}
		}
	}
}

// TestRefuses: framing that must not pass, with the code for it.
func TestRefuses(t *testing.T) {
	good := encode(signature.Chunks, "seed", "hello", nil)
	long := strings.Repeat("f", 300)
	for name, c := range map[string]struct {
		p        signature.Payload
		body     string
		length   int64
		trailers []string
		code     s3xml.Code
	}{
		"longer than told":  {signature.Chunks, good, 4, nil, s3xml.IncompleteBody},
		"shorter than told": {signature.Chunks, good, 6, nil, s3xml.IncompleteBody},
		"other seed": {
			signature.Chunks, encode(signature.Chunks, "deed", "hello", nil), 5, nil,
			s3xml.SignatureDoesNotMatch,
		},
		"chunks swapped": {signature.Chunks, swapped(), 10, nil, s3xml.SignatureDoesNotMatch},
		"unsigned for signed": {
			signature.Chunks, encode(signature.UnsignedTrailer, "", "hello", nil), 5, nil,
			s3xml.InvalidRequest,
		},
		"signed for unsigned": {signature.UnsignedTrailer, good, 5, nil, s3xml.InvalidRequest},
		"more after the end":  {signature.Chunks, good + "x:y\r\n", 5, nil, s3xml.MalformedTrailerError},
		"another body behind": {
			signature.UnsignedTrailer, "0\r\n\r\n0\r\n\r\n", 0, nil,
			s3xml.InvalidRequest,
		},
		"blank lines behind": {
			signature.UnsignedTrailer, "0\r\n" + strings.Repeat("\r\n", 9), 0, nil,
			s3xml.InvalidRequest,
		},
		"no size":       {signature.UnsignedTrailer, "\r\nhello", 5, nil, s3xml.InvalidRequest},
		"negative size": {signature.UnsignedTrailer, "-5\r\nhello", 5, nil, s3xml.InvalidRequest},
		"size with 0x":  {signature.UnsignedTrailer, "0x5\r\nhello", 5, nil, s3xml.InvalidRequest},
		"huge size": {
			signature.UnsignedTrailer, "ffffffffffffffff\r\nhello", 5, nil,
			s3xml.InvalidRequest,
		},
		"large size": {
			signature.UnsignedTrailer, "7fffffffffffff\r\nhello", 5, nil,
			s3xml.IncompleteBody,
		},
		"size too long": {signature.UnsignedTrailer, long + "\r\n", 5, nil, s3xml.InvalidRequest},
		"endless line": {
			signature.UnsignedTrailer, strings.Repeat("0", 10000), 5, nil,
			s3xml.InvalidRequest,
		},
		"extension": {
			signature.UnsignedTrailer, "5;a=b\r\nhello\r\n", 5, nil,
			s3xml.InvalidRequest,
		},
		"no CRLF after": {
			signature.UnsignedTrailer, "5\r\nhelloXX0\r\n\r\n", 5, nil,
			s3xml.InvalidRequest,
		},
		"nothing": {signature.UnsignedTrailer, "", 0, nil, s3xml.IncompleteBody},
		"trailer not announced": {
			signature.UnsignedTrailer, "0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", 0,
			nil, s3xml.MalformedTrailerError,
		},
		"trailer of Chunks": {signature.Chunks, strings.TrimSuffix(good, "\r\n") + crc32c +
			":sOO8/Q==\r\n\r\n", 5, []string{crc32c}, s3xml.MalformedTrailerError},
		"trailer twice": {signature.UnsignedTrailer, "0\r\n" + crc32c + ":a\r\n" + crc32c +
			":b\r\n\r\n", 0, []string{crc32c}, s3xml.MalformedTrailerError},
		"trailer missing": {
			signature.UnsignedTrailer, "0\r\n\r\n", 0,
			[]string{crc32c},
			s3xml.MalformedTrailerError,
		},
		"trailer without a colon": {
			signature.UnsignedTrailer, "0\r\nx\r\n\r\n", 0,
			[]string{crc32c},
			s3xml.MalformedTrailerError,
		},
		"trailer too long": {signature.UnsignedTrailer, "0\r\n" + crc32c + ":" + strings.Repeat("a",
			MaxLine) + "\r\n\r\n", 0, []string{crc32c}, s3xml.InvalidRequest},
		"trailer signature of unsigned": {
			signature.UnsignedTrailer, "0\r\nx-amz-trailer-signature:00\r\n\r\n", 0, nil,
			s3xml.MalformedTrailerError,
		},
		"trailer without signature": {
			signature.ChunksTrailer, encode(signature.Chunks, "seed", "", nil), 0, nil,
			s3xml.MalformedTrailerError,
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := io.ReadAll(New(strings.NewReader(c.body), options(c.p, "seed", c.length, c.trailers...)))
			var e *s3xml.Error
			if !errors.As(err, &e) || e.Code != c.code {
				t.Errorf("want %s, got %v", c.code, err)
			}
		})
	}
}

// TestNothingAfterTheTrailersSignature: what it does not cover is not a trailer.
func TestNothingAfterTheTrailersSignature(t *testing.T) {
	e := &encoder{payload: signature.ChunksTrailer, previous: "seed"}
	e.end(nil)
	body := strings.TrimSuffix(e.String(), "\r\n") + crc32c + ":sOO8/Q==\r\n\r\n"
	if _, err := io.ReadAll(New(strings.NewReader(body), options(signature.ChunksTrailer, "seed", 0,
		crc32c))); err == nil {
		t.Error("an unsigned field was taken")
	}
}

// swapped has two chunks that are both signed, in the wrong order.
func swapped() string {
	a := &encoder{payload: signature.Chunks, previous: "seed"}
	a.chunk("hello")
	first := a.String()
	a.Reset()
	a.chunk("world")
	second := a.String()
	a.Reset()
	a.end(nil)
	return second + first + a.String()
}

// TestWhatDoesNotVerifyIsNotGiven: bytes of the good chunks, and none of the bad one where
// it comes in one piece.
func TestWhatDoesNotVerifyIsNotGiven(t *testing.T) {
	body := strings.Replace(encode(signature.Chunks, "seed", "goodbad", nil, 4), "bad", "BAD", 1)
	got, err := io.ReadAll(New(strings.NewReader(body), options(signature.Chunks, "seed", 7)))
	if string(got) != "good" || err == nil {
		t.Errorf("%q %v", got, err)
	}
}

// TestErrorsOfTheBodyPassThrough: a connection that breaks is not the client's lie.
func TestErrorsOfTheBodyPassThrough(t *testing.T) {
	broken := errors.New("broken")
	for cut := range 12 {
		body := io.MultiReader(strings.NewReader("5\r\nhello\r\n0\r\n"[:cut]), iotest.ErrReader(broken))
		if _, err := io.ReadAll(New(body, options(signature.UnsignedTrailer, "", 5))); !errors.Is(err, broken) {
			t.Errorf("at %d: %v", cut, err)
		}
	}
}

// TestTrailerEndings: the line ends that clients were seen to use.
func TestTrailerEndings(t *testing.T) {
	for _, end := range []string{"\r\n\r\n", "\n\r\n\r\n", "\n\r\n", "\n\n", "\r\n", "\r\n\r\n\r\n"} {
		r := New(strings.NewReader("5\r\nhello\r\n0\r\n"+crc32c+": sOO8/Q== "+end), options(signature.UnsignedTrailer,
			"", 5, crc32c))
		if got, err := io.ReadAll(r); err != nil || string(got) != "hello" || r.Trailers()[crc32c] != "sOO8/Q==" {
			t.Errorf("%q: %q %v %v", end, got, r.Trailers(), err)
		}
	}
}
