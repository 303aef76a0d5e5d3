package storage

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
)

// Endpoint is where an S3 endpoint is, and the keys to it.
type Endpoint struct {
	URL, Region, AccessKey, SecretKey, SessionToken string
	// CA is the path of a PEM file; empty trusts the system's.
	CA string
	// Timeout is how long the endpoint may take to begin an answer.
	Timeout time.Duration
}

const defaultRegion = "us-east-1"

// NoEndpoint is the next step of one who has no keys.
const NoEndpoint = "dark context use dev (darkd dev writes its S3 endpoint); for another one dark context set NAME " +
	"--s3-url https://EDGE:PORT --s3-access-key ID --s3-secret-key SECRET, or DARK_S3_URL, DARK_S3_ACCESS_KEY and " +
	"DARK_S3_SECRET_KEY; dark accesskeys create NAME makes a key"

// Resolve fills what the environment says into what the context says. Keys and address
// are taken from one place: DARK_S3_* is above the context, and AWS_* counts where it
// names an endpoint too or nothing else is known, so that keys made for AWS do not go
// elsewhere by accident.
func Resolve(fromContext Endpoint, env func(string) string) (Endpoint, error) {
	e := fromContext
	if key := env("DARK_S3_ACCESS_KEY"); key != "" {
		e.AccessKey, e.SecretKey = key, env("DARK_S3_SECRET_KEY")
	}
	aws := firstOf(env("AWS_ENDPOINT_URL_S3"), env("AWS_ENDPOINT_URL"))
	own := env("DARK_S3_URL")
	if env("DARK_S3_ACCESS_KEY") == "" && env("AWS_ACCESS_KEY_ID") != "" && (aws != "" || own != "" ||
		e.AccessKey == "") {
		e.AccessKey, e.SecretKey, e.SessionToken = env("AWS_ACCESS_KEY_ID"), env("AWS_SECRET_ACCESS_KEY"),
			env("AWS_SESSION_TOKEN")
		e.Region = firstOf(env("AWS_REGION"), env("AWS_DEFAULT_REGION"), e.Region)
		e.URL = firstOf(aws, e.URL)
	}
	e.URL = firstOf(own, e.URL, aws)
	e.Region = firstOf(env("DARK_S3_REGION"), e.Region, defaultRegion)
	switch {
	case e.URL == "":
		return e, usage(NoEndpoint, "it is not known where the S3 endpoint is")
	case e.AccessKey == "" || e.SecretKey == "":
		return e, usage(NoEndpoint, "there is no key for the S3 endpoint %s", e.URL)
	}
	return e, nil
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// client is a connection to an endpoint. core is the same one, with its single requests.
type client struct {
	*minio.Client
	core minio.Core
	url  string
}

// Requests are repeated this often; with waits of up to a second that outlasts a restart.
const maxTries = 6

func (e *Env) connect(bandwidth rate) (*client, error) {
	at, err := e.Endpoint()
	if err != nil {
		return nil, err
	}
	return at.connect(bandwidth)
}

func (e Endpoint) connect(bandwidth rate) (*client, error) {
	u, err := url.Parse(e.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" {
		return nil, usage("DARK_S3_URL=https://HOST:PORT", "%q is not the address of an S3 endpoint", e.URL)
	}
	transport, err := e.transport(bandwidth)
	if err != nil {
		return nil, err
	}
	lookup := minio.BucketLookupPath
	if strings.HasSuffix(u.Hostname(), ".amazonaws.com") {
		lookup = minio.BucketLookupAuto
	}
	c, err := minio.New(u.Host, &minio.Options{
		Creds:  credentials.NewStaticV4(e.AccessKey, e.SecretKey, e.SessionToken),
		Secure: u.Scheme == "https", Region: e.Region, Transport: transport,
		BucketLookup: lookup, TrailingHeaders: true, MaxRetries: maxTries,
	})
	if err != nil {
		return nil, usage("DARK_S3_URL=https://HOST:PORT", "the S3 endpoint %s: %v", e.URL, err)
	}
	c.SetAppInfo("dark", "1")
	return &client{Client: c, core: minio.Core{Client: c}, url: u.Scheme + "://" + u.Host}, nil
}

func (e Endpoint) transport(bandwidth rate) (*http.Transport, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if e.CA != "" {
		pem, err := os.ReadFile(e.CA)
		if err != nil {
			return nil, exit.New(exit.Usage, "--ca FILE with the installation's CA", "read the CA: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, usage("--ca FILE with the installation's CA", "%s holds no certificate in PEM form", e.CA)
		}
	}
	dial := (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext
	if bandwidth > 0 {
		dial = (&pacer{perSecond: int64(bandwidth)}).dialer(dial)
	}
	return &http.Transport{
		Proxy:           http.ProxyFromEnvironment,
		DialContext:     dial,
		MaxIdleConns:    maxParallel,
		TLSClientConfig: conf, TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConnsPerHost: maxParallel, IdleConnTimeout: time.Minute,
		ResponseHeaderTimeout: e.Timeout,
		DisableCompression:    true, // an object with Content-Encoding: gzip is what it is
	}, nil
}

var byCode = map[string]struct {
	code exit.Code
	next string
}{
	"NoSuchBucket":  {exit.NotFound, "dark buckets list; dark buckets create NAME makes one"},
	"NoSuchKey":     {exit.NotFound, "dark storage ls darkstorage://BUCKET/ shows what there is"},
	"NoSuchVersion": {exit.NotFound, "dark storage ls darkstorage://BUCKET/ shows what there is"},
	"AccessDenied": {
		exit.Denied,
		"dark accesskeys list shows what keys may; dark accesskeys create NAME makes another",
	},
	"InvalidAccessKeyId": {
		exit.Denied,
		"dark accesskeys create NAME makes a key; a deleted one is dead everywhere",
	},
	"SignatureDoesNotMatch": {
		exit.Denied,
		"look at DARK_S3_SECRET_KEY: the secret does not belong to that access key",
	},
	"RequestTimeTooSkewed":         {exit.Denied, "set this machine's clock: it is more than 15 minutes off"},
	"AuthorizationHeaderMalformed": {exit.Denied, "DARK_S3_REGION=REGION, the one that the message names"},
	"PreconditionFailed":           {exit.Conflict, "it was changed meanwhile; the same command again"},
	"BucketAlreadyExists":          {exit.Conflict, "another name: those of buckets are unique in the installation"},
	"BucketAlreadyOwnedByYou":      {exit.Conflict, "dark buckets list"},
	"SlowDown":                     {exit.Unavailable, "the same command again in a moment"},
	"ServiceUnavailable": {
		exit.Unavailable,
		"the same command again in a moment; dark storage stats tells why writes are refused",
	},
	"InsufficientStorage": {
		exit.Unavailable,
		"dark storage stats shows what is left; remove something, or give it a larger disk",
	},
	"XMinioInvalidObjectName":        {exit.Usage, "another name"},
	"ServerSideEncryptionNotAllowed": {exit.Denied, "dark get bucket NAME -o yaml shows how it encrypts"},
}

// explain turns what the library returns into an error with its exit code and next step.
func explain(err error) error {
	if err == nil {
		return nil
	}
	var own *exit.Error
	if errors.As(err, &own) {
		return err
	}
	var r minio.ErrorResponse
	if errors.As(err, &r) && r.StatusCode != 0 {
		return explainAnswer(r)
	}
	if local := explainLocal(err); local != nil {
		return local
	}
	var op net.Error
	var u *url.Error
	if errors.As(err, &u) && u.Err != nil {
		err = u.Err
	}
	if errors.As(err, new(x509.UnknownAuthorityError)) {
		return exit.New(exit.Unavailable, "--ca FILE with the installation's CA", "no answer from the S3 endpoint: %w",
			err)
	}
	if errors.As(err, &op) {
		return exit.New(exit.Unavailable, "is it running? darkd dev starts one here; DARK_S3_URL names another",
			"no answer from the S3 endpoint: %w", err)
	}
	return err
}

// explainLocal is for what this machine refused: nil for other errors. What the system says of a
// file looks like an answer of the network (syscall.Errno is a net.Error), and is none.
func explainLocal(err error) error {
	if full := noRoom(err); full != nil {
		return full
	}
	if errors.As(err, new(*fs.PathError)) || errors.As(err, new(*os.LinkError)) {
		return exit.New(exit.Failed, "", "%w", local(err))
	}
	return nil
}

// noRoom is for a full disk, or a quota that is used up here; nil for other errors.
func noRoom(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return exit.New(exit.Failed, "make room, and the same command again goes on", "there is no room left here: %w",
			local(err))
	}
	return nil
}

// local is the part of an error that names the file.
func local(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path
	}
	return err
}

func explainAnswer(r minio.ErrorResponse) error {
	text := r.Message
	if text == "" {
		text = http.StatusText(r.StatusCode)
	}
	if known, ok := byCode[r.Code]; ok {
		return exit.New(known.code, known.next, "%s (%s)", text, r.Code)
	}
	code, next := exit.Failed, "the server's log has the cause"
	switch r.StatusCode {
	case http.StatusNotFound:
		code, next = exit.NotFound, byCode["NoSuchKey"].next
	case http.StatusForbidden, http.StatusUnauthorized:
		code, next = exit.Denied, byCode["AccessDenied"].next
	case http.StatusConflict, http.StatusPreconditionFailed:
		code, next = exit.Conflict, byCode["PreconditionFailed"].next
	case http.StatusServiceUnavailable, http.StatusInsufficientStorage, http.StatusBadGateway,
		http.StatusGatewayTimeout:
		code, next = exit.Unavailable, byCode["ServiceUnavailable"].next
	case http.StatusInternalServerError:
		next = "dark storage damage lists what is known to be damaged; the edge's log has the cause"
	case http.StatusBadRequest:
		next = ""
	}
	return exit.New(code, next, "%s (%s)", text, r.Code)
}

// isCode tells whether the endpoint answered with an S3 error code.
func isCode(err error, code string) bool {
	var r minio.ErrorResponse
	return errors.As(err, &r) && r.Code == code
}
