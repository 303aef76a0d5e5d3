package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/dark-ecosystem/dark/bench/rig"
	"github.com/dark-ecosystem/dark/bench/s3client"
)

// pause is how long who puts rests between two: it is not in a hurry.
const pause = 20 * time.Millisecond

// heads has 64 connections ask for the HEAD of an object of many parts with 33 extents each, while another
// puts small objects.
func heads(ctx context.Context, o *settings, dir string) error {
	d, err := rig.StartDev(ctx, dir, host)
	if err != nil {
		return err
	}
	defer d.Stop()
	if err := joinLarge(ctx, client(d), o.parts); err != nil {
		return err
	}
	who := s3client.Credentials{Access: d.Access, Secret: d.Secret, Region: d.Region}
	puts := func(lasting time.Duration) rig.Load {
		c := s3client.New(d.Host, who)
		defer c.Close()
		return rig.Run(ctx, 1, lasting, nil, func(ctx context.Context, _, _ int) error {
			_, err := c.Do(ctx, "PUT", "/"+bucket+"/small", "", s3client.Signed([]byte("hello")))
			time.Sleep(pause)
			return err
		})
	}
	rss := status(d.Pid(), "VmRSS:")
	alone := puts(o.seconds)
	var beside rig.Load
	var all sync.WaitGroup
	all.Go(func() { beside = puts(o.seconds) })
	clients := make([]*s3client.Client, 64)
	for i := range clients {
		clients[i] = s3client.New(d.Host, who)
		defer clients[i].Close()
	}
	l := rig.Run(ctx, len(clients), o.seconds, []int{d.Pid()}, func(ctx context.Context, client, _ int) error {
		_, err := clients[client].Do(ctx, "HEAD", "/"+bucket+"/large", "", s3client.Body{})
		return err
	})
	all.Wait()
	if err := l.Err; err != nil {
		return err
	}
	peak, err := rig.PeakMemory(d.Pid())
	if err != nil {
		return err
	}
	fmt.Printf("| parts | HEADs | CPU each | PUT p50, p99 alone | PUT p50, p99 beside them | memory before, peak |\n" +
		"|--:|--:|--:|--:|--:|--:|\n")
	fmt.Printf("| %d | %.0f/s | %d us | %s, %s | %s, %s | %d, %d MiB |\n", o.parts, l.Rate, l.CPU.Microseconds(),
		ms(alone.P50-pause), ms(alone.P99-pause), ms(beside.P50-pause), ms(beside.P99-pause), rss, peak>>20)
	return nil
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }

// joinLarge makes the object of copies of another. They have its checksum, so that no octet is copied.
func joinLarge(ctx context.Context, c *s3.Client, parts int) error {
	data := make([]byte, 32*16<<20+1024)
	rand.Read(data) // never fails
	crc := types.ChecksumAlgorithmCrc32
	if _, err := c.PutObject(ctx, &s3.PutObjectInput{
		Bucket: aws.String(bucket), Key: aws.String("source"), Body: bytes.NewReader(data), ChecksumAlgorithm: crc,
	}); err != nil {
		return err
	}
	up, err := c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: aws.String(bucket), Key: aws.String("large"), ChecksumAlgorithm: crc,
	})
	if err != nil {
		return err
	}
	done := make([]types.CompletedPart, parts)
	for i := range parts {
		n := aws.Int32(int32(i + 1)) //nolint:gosec // at most 10,000
		r, err := c.UploadPartCopy(ctx, &s3.UploadPartCopyInput{
			Bucket: aws.String(bucket), Key: aws.String("large"), UploadId: up.UploadId, PartNumber: n,
			CopySource: aws.String(bucket + "/source"),
		})
		if err != nil {
			return err
		}
		done[i] = types.CompletedPart{
			ETag: r.CopyPartResult.ETag, ChecksumCRC32: r.CopyPartResult.ChecksumCRC32, PartNumber: n,
		}
	}
	_, err = c.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: aws.String(bucket), Key: aws.String("large"), UploadId: up.UploadId,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: done},
	})
	return err
}
