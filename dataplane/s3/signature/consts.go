package signature

import "github.com/dark-ecosystem/dark/internal/sigv4"

const (
	algorithm = sigv4.Algorithm
	service   = sigv4.Service
	terminal  = sigv4.Terminal

	isoBasic = sigv4.DateLayout
	isoDay   = sigv4.DayLayout
)
