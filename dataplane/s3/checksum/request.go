package checksum

import (
	"net/http"
	"strings"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
)

// Asked is what the headers of a request say of its body's checksum.
type Asked struct {
	// Algorithm of Sum or of the trailer; None where there is neither.
	Algorithm Algorithm
	// Sum that a header gave; nil where it comes in the trailer.
	Sum []byte
	// Parts: Sum was written "-N" (only from ReadCompletion).
	Parts int
	// Trailer: the sum comes in the trailer, under Algorithm's header name.
	Trailer bool
	// SDK is x-amz-sdk-checksum-algorithm: the algorithm the client would use.
	SDK Algorithm
	// Type is x-amz-checksum-type, and whether it was given.
	Type      Type
	TypeGiven bool
	// MD5 is Content-MD5.
	MD5 *[16]byte
}

// Read reads the headers of a request with a body: x-amz-checksum-*, x-amz-trailer,
// x-amz-sdk-checksum-algorithm, x-amz-checksum-type and Content-MD5. Two checksums are
// refused, and so is an announced algorithm whose checksum neither came nor will.
func Read(h http.Header) (Asked, error) { return read(h, false) }

// ReadCompletion reads the headers of CompleteMultipartUpload, whose checksum is of the
// object, not of the body, and may be written with "-N".
func ReadCompletion(h http.Header) (Asked, error) { return read(h, true) }

func read(h http.Header, completion bool) (Asked, error) {
	var a Asked
	if err := a.readValue(h, completion); err != nil {
		return a, err
	}
	if err := a.readTrailer(h); err != nil {
		return a, err
	}
	if err := a.readSDK(h, completion); err != nil {
		return a, err
	}
	if text := h.Get("X-Amz-Checksum-Type"); text != "" {
		if a.Type, a.TypeGiven = ParseType(strings.ToUpper(text)); !a.TypeGiven {
			return a, s3xml.Say(s3xml.InvalidRequest, "Value for x-amz-checksum-type header is invalid.")
		}
	}
	if v, ok := h["Content-Md5"]; ok {
		sum, err := ParseMD5(strings.Join(v, ","))
		if err != nil {
			return a, err
		}
		a.MD5 = &sum
	}
	return a, nil
}

const checksumPrefix = "X-Amz-Checksum-"

// readValue finds the one x-amz-checksum-* that is a value. One of an algorithm that is
// not known is refused, for it would not be verified.
func (a *Asked) readValue(h http.Header, completion bool) error {
	for name, values := range h {
		if !strings.HasPrefix(name, checksumPrefix) || aboutChecksums(name) {
			continue
		}
		if a.Algorithm != None || len(values) != 1 {
			return errSeveral()
		}
		alg, ok := ofHeader(name)
		if !ok {
			return s3xml.Say(s3xml.InvalidRequest, "Checksum algorithm provided is unsupported. "+
				"Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]")
		}
		var err error
		if completion {
			a.Sum, a.Parts, err = alg.ParseParts(values[0])
		} else {
			a.Sum, err = alg.Parse(values[0])
		}
		if err != nil {
			return err
		}
		a.Algorithm = alg
	}
	return nil
}

// aboutChecksums: the headers of this prefix that are no values.
func aboutChecksums(name string) bool {
	switch name[len(checksumPrefix):] {
	case "Algorithm", "Mode", "Type":
		return true
	}
	return false
}

func errSeveral() error {
	return s3xml.Say(s3xml.InvalidRequest,
		"Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
}

// readTrailer: only a checksum may come in the trailer.
func (a *Asked) readTrailer(h http.Header) error {
	for _, v := range h["X-Amz-Trailer"] {
		for name := range strings.SplitSeq(v, ",") {
			alg, ok := ofHeader(strings.TrimSpace(name))
			if !ok {
				return s3xml.Say(s3xml.InvalidRequest,
					"The value specified in the x-amz-trailer header is not supported")
			}
			if a.Algorithm != None {
				return errSeveral()
			}
			a.Algorithm, a.Trailer = alg, true
		}
	}
	return nil
}

func (a *Asked) readSDK(h http.Header, completion bool) error {
	text := h.Get("X-Amz-Sdk-Checksum-Algorithm")
	if text == "" {
		return nil
	}
	var ok bool
	if a.SDK, ok = ParseAlgorithm(text); !ok || a.Algorithm != None && a.SDK != a.Algorithm {
		return s3xml.Say(s3xml.InvalidRequest, "Value for x-amz-sdk-checksum-algorithm header is invalid.")
	}
	if a.Algorithm == None && !completion {
		return s3xml.Say(s3xml.InvalidRequest, "x-amz-sdk-checksum-algorithm specified, but no corresponding "+
			"x-amz-checksum-* or x-amz-trailer headers were found.")
	}
	return nil
}

// FromTrailer takes the sum that came in the trailer.
func (a *Asked) FromTrailer(trailers map[string]string) error {
	if !a.Trailer {
		return nil
	}
	sum, err := a.Algorithm.Parse(trailers[strings.ToLower(a.Algorithm.Header())])
	if err != nil {
		return err
	}
	a.Sum = sum
	return nil
}
