package signature

import (
	"testing"

	"github.com/dark-ecosystem/dark/internal/sigv4"
)

// BenchmarkVerify is what a request costs before anything is done for it.
func BenchmarkVerify(b *testing.B) {
	v := example()
	key := sigv4.Derive(exampleSecret, sigv4.Day(exampleTime), "us-east-1")
	v.Keys = func(string, int32, string) ([32]byte, KeyState) { return key, KeyFound }
	b.Run("header", func(b *testing.B) {
		r := signed()
		b.ReportAllocs()
		for b.Loop() {
			if _, err := v.Verify(r, exampleTime); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("query", func(b *testing.B) {
		r := presigned(goodQuery)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := v.Verify(r, exampleTime); err != nil {
				b.Fatal(err)
			}
		}
	})
}
