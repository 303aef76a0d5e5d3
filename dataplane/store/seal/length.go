package seal

// Chunks is how many chunks an extent of so many octets in the clear has.
func Chunks(clear int64) int64 { return max(1, (clear+ChunkSize-1)/ChunkSize) }

// SealedLen is the sealed length of an extent of so many octets in the clear.
func SealedLen(clear int64) int64 { return clear + Chunks(clear)*Overhead }

// Span is the chunks that hold a range of an extent, and where their sealed octets lie.
type Span struct {
	First, End int64 // chunk numbers, End excluded
	Off, Len   int64 // sealed octets
	Skip       int64 // octets of chunk First before the range
	last       int64
	clear      int64
}

// SpanOf is the span of the range [off, off+n) of an extent of clear octets. The range
// must lie in the extent.
func SpanOf(clear, off, n int64) Span {
	if off < 0 || n < 0 || off+n > clear {
		panic("seal: a range outside of its extent")
	}
	last := Chunks(clear) - 1
	s := Span{First: min(off/ChunkSize, last), last: last, clear: clear}
	s.End = max(s.First, (off+n-1)/ChunkSize) + 1
	s.Skip = off - s.First*ChunkSize
	s.Off = s.First * (ChunkSize + Overhead)
	s.Len = min(s.End*(ChunkSize+Overhead), SealedLen(clear)) - s.Off
	return s
}

// Last says whether chunk is the extent's last.
func (s Span) Last(chunk int64) bool { return chunk == s.last }

// Size is the sealed size of a chunk.
func (s Span) Size(chunk int64) int {
	if chunk < s.last {
		return ChunkSize + Overhead
	}
	return int(s.clear-s.last*ChunkSize) + Overhead
}
