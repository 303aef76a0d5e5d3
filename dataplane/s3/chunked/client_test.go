package chunked_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"hash"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/minio/minio-go/v7/pkg/signer"

	"github.com/dark-ecosystem/dark/dataplane/s3/checksum"
	"github.com/dark-ecosystem/dark/dataplane/s3/chunked"
	"github.com/dark-ecosystem/dark/dataplane/s3/signature"
	"github.com/dark-ecosystem/dark/internal/sigv4"
)

const (
	id     = "AKIAIOSFODNN7EXAMPLE"
	secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
)

func verifier() *signature.Verifier {
	return &signature.Verifier{Region: "eu-1", Keys: func(_ string, day int32, region string) ([32]byte,
		signature.KeyState,
	) {
		return sigv4.Derive(secret, day, region), signature.KeyFound
	}}
}

// receive takes an upload as a handler does: signature, chunks, checksums.
func receive(r *http.Request) ([]byte, signature.Payload, error) {
	res, err := verifier().Verify(r, time.Now())
	if err != nil {
		return nil, 0, err
	}
	asked, err := checksum.Read(r.Header)
	if err != nil {
		return nil, 0, err
	}
	var body io.Reader = r.Body
	var chunks *chunked.Reader
	if res.Payload.Chunked() {
		if chunks, err = chunked.FromRequest(r, res); err != nil {
			return nil, 0, err
		}
		body = chunks
	}
	h := checksum.NewHasher(checksum.Want{
		MD5: true, SHA256: res.Payload == signature.Hashed,
		Algorithm: asked.Algorithm,
	})
	defer h.Close()
	data, err := io.ReadAll(io.TeeReader(body, h))
	if err != nil {
		return nil, 0, err
	}
	if chunks != nil {
		if err := asked.FromTrailer(chunks.Trailers()); err != nil {
			return nil, 0, err
		}
	}
	sums := h.Sums()
	if res.Payload == signature.Hashed {
		if err := sums.VerifySHA256(res.SHA256); err != nil {
			return nil, 0, err
		}
	}
	return data, res.Payload, sums.Verify(asked)
}

// TestUploadsOfTheSDK: aws-sdk-go-v2/service/s3 with each checksum, over TLS, where it
// sends trailers, and without, where it cannot.
func TestUploadsOfTheSDK(t *testing.T) {
	var got []byte
	var kind signature.Payload
	var proto string
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var err error
		proto = r.Proto
		if got, kind, err = receive(r); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
	h2 := httptest.NewUnstartedServer(handler)
	h2.EnableHTTP2 = true
	h2.StartTLS()
	for scheme, server := range map[string]*httptest.Server{
		"https": httptest.NewTLSServer(handler), "https over HTTP/2": h2, "http": httptest.NewServer(handler),
	} {
		t.Cleanup(server.Close)
		client := s3.New(s3.Options{
			RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported,
			Region:                     "eu-1", BaseEndpoint: aws.String(server.URL), UsePathStyle: true,
			HTTPClient: server.Client(),
			Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: id, SecretAccessKey: secret}, nil
			}),
		})
		for _, alg := range []types.ChecksumAlgorithm{"", "CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"} {
			for _, size := range []int{0, 1, 100_000, 1 << 20} {
				body := bytes.Repeat([]byte("x"), size)
				_, err := client.PutObject(t.Context(), &s3.PutObjectInput{
					Bucket: aws.String("b"), Key: aws.String("a//b/../ü+ &.txt"), Body: bytes.NewReader(body),
					ChecksumAlgorithm: alg,
				})
				if err != nil || !bytes.Equal(got, body) {
					t.Fatalf("%s %s %d: %v", scheme, alg, size, err)
				}
				if scheme != "http" && kind != signature.UnsignedTrailer && size > 0 {
					t.Errorf("%s %d: %v", alg, size, kind)
				}
				if (proto == "HTTP/2.0") != (server == h2) {
					t.Fatalf("%s by %s", scheme, proto)
				}
			}
		}
	}
}

// sha is the hash that minio-go's streaming signer asks for.
type sha struct{ hash.Hash }

func (sha) Close() {}

// TestUploadsOfMinio: signed chunks, signed chunks with a trailer, unsigned with a trailer.
func TestUploadsOfMinio(t *testing.T) {
	for _, size := range []int{0, 1, 65_535, 65_536, 65_537, 200_000} {
		body := bytes.Repeat([]byte("y"), size)
		sum := checksum.Format(checksum.CRC32C.Sum(body), 0)
		for kind, trailer := range map[signature.Payload]bool{
			signature.Chunks: false, signature.ChunksTrailer: true,
			signature.UnsignedTrailer: true,
		} {
			r := httptest.NewRequest(http.MethodPut, "http://s3.example.com/b/k", io.NopCloser(bytes.NewReader(body)))
			var trailers http.Header
			if trailer {
				trailers = http.Header{"X-Amz-Checksum-Crc32c": {sum}}
			}
			if kind == signature.UnsignedTrailer {
				r.ContentLength = int64(size)
				r.Header.Set("X-Amz-Content-Sha256", kind.String())
				r = signer.SignV4Trailer(*r, id, secret, "", "eu-1", trailers)
			} else {
				r.Trailer = trailers
				r = signer.StreamingSignV4(r, id, secret, "", "eu-1", int64(size), time.Now().UTC(), sha{sha256.New()})
			}
			got, as, err := receive(r)
			if err != nil || !bytes.Equal(got, body) || as != kind {
				t.Errorf("%v of %d: %v %v", kind, size, as, err)
			}
		}
	}
}

// TestRequestsThatCannotBe: what FromRequest says of headers.
func TestRequestsThatCannotBe(t *testing.T) {
	for _, c := range []struct {
		payload signature.Payload
		headers string
		want    string
	}{
		{signature.UnsignedTrailer, "X-Amz-Decoded-Content-Length=0", ""},
		{signature.UnsignedTrailer, "", "MissingContentLength"},
		{signature.UnsignedTrailer, "X-Amz-Decoded-Content-Length=-1", "InvalidArgument"},
		{signature.UnsignedTrailer, "X-Amz-Decoded-Content-Length=99999999999999999999", "InvalidArgument"},
		{signature.Chunks, "X-Amz-Decoded-Content-Length=0&X-Amz-Trailer=x-amz-checksum-crc32", "InvalidRequest"},
		{signature.ChunksTrailer, "X-Amz-Decoded-Content-Length=0&X-Amz-Trailer=a,b,a", "InvalidRequest"},
		{signature.ChunksTrailer, "X-Amz-Decoded-Content-Length=0&X-Amz-Trailer=a,b,c,d,e,f,g,h,i", "InvalidRequest"},
		{
			signature.ChunksTrailer, "X-Amz-Decoded-Content-Length=0&X-Amz-Trailer=x-amz-trailer-signature",
			"InvalidRequest",
		},
	} {
		r := httptest.NewRequest(http.MethodPut, "/b/k", nil)
		for h := range strings.SplitSeq(c.headers, "&") {
			if name, value, ok := strings.Cut(h, "="); ok {
				r.Header.Set(name, value)
			}
		}
		_, err := chunked.FromRequest(r, signature.Result{Payload: c.payload})
		if (err == nil) != (c.want == "") || err != nil && !strings.HasPrefix(err.Error(), c.want+":") {
			t.Errorf("%s: %v", c.headers, err)
		}
	}
}
