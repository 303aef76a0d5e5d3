package sigv4

import "testing"

// TestAHostNamesOneBucket: what a host and a path name, at edges and at control nodes alike.
func TestAHostNamesOneBucket(t *testing.T) {
	// Of two base domains one is below the other; the longer one is found in any order.
	both := []Hosts{
		NewHosts("s3.test", "eu.s3.test", "s3.test"), NewHosts(".EU.S3.Test.", "S3.TEST."),
	}
	for _, c := range []struct {
		host, path  string
		bucket, key string
		virtual     bool
	}{
		{"photos.s3.test", "/", "photos", "", true},
		{"photos.s3.test", "", "photos", "", true},
		{"photos.s3.test", "/logs", "photos", "logs", true},
		{"photos.s3.test", "//a/", "photos", "/a/", true},
		{"photos.s3.test:9000", "/k", "photos", "k", true},
		{"photos.s3.test.", "/k", "photos", "k", true},
		{"photos.s3.test.:9000", "/k", "photos", "k", true},
		{"PHOTOS.S3.Test", "/K", "photos", "K", true},
		{"a.b.s3.test", "/k", "a.b", "k", true},
		{"photos.eu.s3.test", "/k", "photos", "k", true},
		{"a.photos.eu.s3.test", "/k", "a.photos", "k", true},
		{"eu.s3.test", "/photos", "photos", "", false},
		{"eu.s3.test:9000", "/photos/k", "photos", "k", false},
		{"s3.test", "/photos/", "photos", "", false},
		{"s3.test.", "/photos//k", "photos", "/k", false},
		{".s3.test", "/photos/k", "photos", "k", false},
		{"s3.test", "/", "", "", false},
		{"s3.test", "//photos", "", "photos", false},
		{"bigs3.test", "/photos/k", "photos", "k", false},
		{"photos.s3.test.example", "/other/k", "other", "k", false},
		{"photos.s3.test..", "/other", "other", "", false},
		{"192.0.2.1:9000", "/photos/k", "photos", "k", false},
		{"[2001:db8::1]:9000", "/photos", "photos", "", false},
		{"2001:db8::1", "/photos", "photos", "", false},
		{"", "/photos", "photos", "", false},
	} {
		for i, h := range both {
			bucket, key, virtual := h.Target(c.host, c.path)
			if bucket != c.bucket || key != c.key || virtual != c.virtual {
				t.Errorf("%d: %q %q: %q %q %v, want %q %q %v", i, c.host, c.path, bucket, key, virtual,
					c.bucket, c.key, c.virtual)
			}
			s := &Signed{Host: c.host, Path: c.path}
			if names := s.Names(c.bucket, h); names != (c.bucket != "" && c.key == "") {
				t.Errorf("%d: a signed %q %q names the bucket %q: %v", i, c.host, c.path, c.bucket, names)
			}
		}
	}
	if bucket, key, virtual := (Hosts{}).Target("photos.s3.test", "/a/b"); bucket != "a" || key != "b" || virtual {
		t.Errorf("without base domains: %q %q %v", bucket, key, virtual)
	}
	if b := NewHosts("", ".").Bucket("photos."); b != "" {
		t.Errorf("an empty base domain names %q", b)
	}
}
