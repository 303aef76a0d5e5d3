package edge

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// TestBucketsAreCountedLoggedAndHeldToTheirQuota: what an operator has of one bucket: the
// file of requests, the series, the numbers for the API; and a quota that counts.
func TestBucketsAreCountedLoggedAndHeldToTheirQuota(t *testing.T) {
	dir := t.TempDir()
	machine := machineOf(t, dir)
	id := bytes.Repeat([]byte{7}, 16)
	items := storageItems(t, id, bucketKey(9), machine)
	items = append(items, record(t, kindBucket, "buckets/photos", &storagev1.PublishedBucket{
		Bucket: "photos", Id: id, Organization: "acme", Placement: &storagev1.Placement{Cell: "edge1", Generation: 1},
		Etag: "2",
		Spec: &storagev1.BucketSpec{RequestLog: true, Quota: &storagev1.Quota{Bytes: 100, Objects: 2}},
	}))
	f := fakeControl(t, sealedFrame(t, items...))
	defer f.stop()
	log := filepath.Join(dir, "requests.log")
	cfg := settings(t, dir)
	cfg.DNS, cfg.S3, cfg.Feeds, cfg.S3Log = nil, []string{"127.0.0.1:0"}, []string{f.addr}, log
	n, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	stop := run(t, n)
	client, hangUp := s3ClientOf(t, n)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := n.WaitRevision(ctx, 1); err != nil {
		t.Fatal(err)
	}
	put := func(key string, size int) string {
		_, err := client.PutObject(ctx, &s3.PutObjectInput{
			Bucket: aws.String("photos"), Key: &key,
			Body: strings.NewReader(strings.Repeat("x", size)),
		})
		return code(err)
	}
	for _, w := range []struct {
		key  string
		size int
		code string
	}{{"a", 60, ""}, {"b", 60, "QuotaExceeded"}, {"b", 40, ""}, {"c", 0, "QuotaExceeded"}, {"a", 10, ""}} {
		if code := put(w.key, w.size); code != w.code {
			t.Errorf("%s of %d octets: %q, want %q", w.key, w.size, code, w.code)
		}
	}
	if _, err := client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: aws.String("photos"),
		Key:    aws.String("m"),
	}); err != nil {
		t.Fatal(err)
	}
	s := s3Of(n)
	b := s.stats().Buckets[0]
	if b.Objects != 2 || b.Bytes != 50 || b.Uploads != 1 || b.Writes != 6 || b.Refused != 2 || b.Failed != 0 ||
		b.BytesIn != 60+60+40+10 {
		t.Errorf("%v", b)
	}
	tellsPrometheus(t, s3Metrics{s, true}, `dark_s3_bucket_objects{bucket="photos"} 2`,
		`dark_s3_bucket_bytes{bucket="photos"} 50`,
		`dark_s3_bucket_uploads{bucket="photos"} 1`, `dark_s3_bucket_errors_total{bucket="photos",class="4xx"} 2`)
	if all := scrape(t, s3Metrics{s, false}); strings.Contains(all, "photos") {
		t.Errorf("a tenant's bucket is named though nobody asked for names: %s", all)
	}
	hangUp()
	stop() // all lines are out
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(lines) != 6 {
		t.Fatalf("%d lines: %s", len(lines), text)
	}
	var line struct {
		Operation, Bucket, Key, Error, Requester string
		Status                                   int
		AccessKey                                string `json:"access_key"`
	}
	if err := json.Unmarshal([]byte(lines[1]), &line); err != nil {
		t.Fatal(err)
	}
	if line.Operation != "PutObject" || line.Bucket != "photos" || line.Key != "b" || line.Error != "QuotaExceeded" ||
		line.Status != 403 || line.Requester != "acme" || line.AccessKey != testKeyID {
		t.Errorf("%+v", line)
	}
}

// tellsPrometheus fails unless a collector gives the lines.
func scrape(t *testing.T, c prometheus.Collector) string {
	t.Helper()
	r := prometheus.NewRegistry()
	if err := r.Register(c); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	promhttp.HandlerFor(r, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	return w.Body.String()
}

func tellsPrometheus(t *testing.T, c prometheus.Collector, lines ...string) {
	t.Helper()
	all := scrape(t, c)
	for _, line := range lines {
		if !strings.Contains(all, line+"\n") {
			t.Errorf("no %s", line)
		}
	}
}
