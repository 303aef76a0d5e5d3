// Command disk measures what an edge's store does with its disk, on `darkd dev` as people run it: what a
// steady churn writes and keeps, what a scrub costs those who read meanwhile, how long a rebuild takes, and
// what very large objects cost others.
//
//	go run ./bench/disk [-works heads,scrub,rebuild,churn] [-minutes 15] [-rate 50] [-gib 10] [-seconds 10]
//		[-parts 10000]
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/dark-ecosystem/dark/bench/rig"
)

// settings are what the flags say.
type settings struct {
	minutes, gib float64
	rate         float64 // MiB a second
	seconds      time.Duration
	parts        int
}

var works = map[string]func(context.Context, *settings, string) error{
	"heads": heads, "scrub": scrub, "rebuild": rebuild, "churn": churn,
}

func main() {
	names := flag.String("works", "heads,scrub,rebuild,churn", "what to measure")
	minutes := flag.Float64("minutes", 15, "minutes of churn")
	rate := flag.Float64("rate", 50, "MiB a second that the churn writes")
	gib := flag.Float64("gib", 10, "GiB to rebuild")
	seconds := flag.Float64("seconds", 10, "seconds of each other measurement")
	parts := flag.Int("parts", 10_000, "parts of the large object")
	flag.Parse()
	o := &settings{*minutes, *gib, *rate, time.Duration(*seconds * float64(time.Second)), *parts}
	fmt.Printf("%s\n", rig.Machine())
	for name := range strings.SplitSeq(*names, ",") {
		if err := one(name, o); err != nil {
			fmt.Fprintln(os.Stderr, name+":", err)
			os.Exit(1)
		}
	}
}

func one(name string, o *settings) error {
	work := works[name]
	if work == nil {
		return fmt.Errorf("there are heads, scrub, rebuild and churn")
	}
	dir, err := os.MkdirTemp("", "dark-bench-disk")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Printf("\n### %s\n\n", name)
	return work(context.Background(), o, dir)
}

const (
	host   = "127.0.0.79"
	bucket = "demo-bucket"
)

func client(d *rig.Dev) *s3.Client {
	return s3.New(s3.Options{
		Region: d.Region, BaseEndpoint: aws.String("http://" + d.Host), UsePathStyle: true,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: d.Access, SecretAccessKey: d.Secret}, nil
		}),
	})
}

// status reads a number of kB from /proc/PID/status as MiB.
func status(pid int, field string) int64 {
	return procNumber(fmt.Sprintf("/proc/%d/status", pid), field) >> 10
}

// written is how many octets a process gave to write and send. What it sent has to be taken off. (The
// system's own write_bytes counts a large folio of the page cache anew for each piece that is written of it.)
func written(pid int) int64 { return procNumber(fmt.Sprintf("/proc/%d/io", pid), "wchar:") }

func procNumber(path, field string) int64 {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == field {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			return n
		}
	}
	return 0
}

// onDisk is what a directory takes of its disk, in octets.
func onDisk(dir string) (sum int64) {
	_ = filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			sum += info.Size()
		}
		return nil // what goes meanwhile is not counted
	})
	return sum
}
