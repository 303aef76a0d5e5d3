package checksum

import (
	"bytes"
	"crypto/md5" //nolint:gosec // ETags are MD5
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"runtime"
	"strings"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
)

// Want says what to compute of a body.
type Want struct {
	MD5       bool // the ETag, Content-MD5
	SHA256    bool // x-amz-content-sha256
	Algorithm Algorithm
}

// Aside is how many octets a Begin must have for its MD5 to run beside the rest. Of 16 MiB
// with MD5, SHA-256 and sealing, pieces of 1 MiB take a third less time for 2% more CPU where
// a second core is idle; pieces of 64 KiB cost 20% more CPU and gain nothing
// (BenchmarkHasher).
const Aside = 256 << 10

// Hasher computes what was wanted in one pass, without a copy. It must be closed.
type Hasher struct {
	md5, sha256, other hash.Hash // nil: not wanted
	algorithm          Algorithm

	jobs, done chan []byte // of the goroutine that does MD5; nil until it is needed
	running    bool        // a job was handed over
	alone      bool        // there is nobody to run beside
}

// NewHasher makes one.
func NewHasher(w Want) *Hasher {
	h := &Hasher{algorithm: w.Algorithm, alone: runtime.GOMAXPROCS(0) == 1}
	if w.MD5 {
		h.md5 = md5.New()
	}
	if w.SHA256 || w.Algorithm == SHA256 { // one for both
		h.sha256 = sha256.New()
	}
	if w.Algorithm != None && w.Algorithm != SHA256 {
		h.other = w.Algorithm.New()
	}
	return h
}

// Write hashes p and returns when it is done. It never fails.
func (h *Hasher) Write(p []byte) (int, error) {
	h.Begin(p)
	h.Wait()
	return len(p), nil
}

// Begin hashes p, but may leave the MD5, which takes longest, to go on beside what the
// caller does next, such as sealing and writing p. Until Wait returns p may be read and
// must not be changed.
func (h *Hasher) Begin(p []byte) {
	h.Wait()
	if h.md5 != nil {
		if len(p) < Aside || h.alone {
			h.md5.Write(p)
		} else {
			h.handOver(p)
		}
	}
	if h.sha256 != nil {
		h.sha256.Write(p)
	}
	if h.other != nil {
		h.other.Write(p)
	}
}

func (h *Hasher) handOver(p []byte) {
	if h.jobs == nil {
		h.jobs, h.done = make(chan []byte, 1), make(chan []byte, 1)
		go work(h.md5, h.jobs, h.done)
	}
	h.jobs <- p
	h.running = true
}

func work(sum hash.Hash, jobs <-chan []byte, done chan<- []byte) {
	defer close(done)
	for p := range jobs {
		sum.Write(p)
		done <- p
	}
}

// Wait returns when all that was begun is hashed.
func (h *Hasher) Wait() {
	if h.running {
		<-h.done
		h.running = false
	}
}

// Close ends the Hasher's goroutine. It may be called more than once, and Sums after it.
func (h *Hasher) Close() error {
	h.Wait()
	if h.jobs != nil {
		close(h.jobs)
		<-h.done
		h.jobs = nil
		h.alone = true
	}
	return nil
}

// Sums are what was computed; the zero value of what was not wanted.
type Sums struct {
	MD5       [md5.Size]byte
	SHA256    [sha256.Size]byte
	Algorithm Algorithm
	Checksum  []byte
}

// Sums gives the sums of all that was written.
func (h *Hasher) Sums() Sums {
	h.Wait()
	s := Sums{Algorithm: h.algorithm}
	if h.md5 != nil {
		h.md5.Sum(s.MD5[:0])
	}
	if h.sha256 != nil {
		h.sha256.Sum(s.SHA256[:0])
	}
	switch {
	case h.other != nil:
		s.Checksum = h.other.Sum(nil)
	case h.algorithm == SHA256:
		s.Checksum = s.SHA256[:]
	}
	return s
}

// VerifyMD5 holds the sum against Content-MD5; nil is nothing to hold.
func (s *Sums) VerifyMD5(want *[md5.Size]byte) error {
	if want == nil || *want == s.MD5 {
		return nil
	}
	return s3xml.Say(s3xml.BadDigest, "The Content-MD5 you specified did not match what we received.",
		"ExpectedDigest", Format(want[:], 0), "CalculatedDigest", Format(s.MD5[:], 0))
}

// VerifySHA256 holds the sum against x-amz-content-sha256.
func (s *Sums) VerifySHA256(want [sha256.Size]byte) error {
	if want == s.SHA256 {
		return nil
	}
	return s3xml.Say(s3xml.XAmzContentSHA256Mismatch,
		"The provided 'x-amz-content-sha256' header does not match what was computed.",
		"ClientComputedContentSHA256", hex.EncodeToString(want[:]), "S3ComputedContentSHA256",
		hex.EncodeToString(s.SHA256[:]))
}

// Verify holds the sums against what was asked; of a trailer, after FromTrailer.
func (s *Sums) Verify(a Asked) error {
	if err := s.VerifyMD5(a.MD5); err != nil {
		return err
	}
	if a.Algorithm == None {
		return nil
	}
	if a.Algorithm != s.Algorithm {
		return s3xml.Say(s3xml.InvalidRequest, "The checksum "+strings.ToLower(a.Algorithm.Header())+
			" is not the one of this upload.")
	}
	return a.Algorithm.compare(a.Sum, s.Checksum)
}

func (a Algorithm) compare(want, got []byte) error {
	if bytes.Equal(want, got) {
		return nil
	}
	return s3xml.Say(s3xml.BadDigest, "The "+a.String()+" you specified did not match the calculated checksum.")
}
