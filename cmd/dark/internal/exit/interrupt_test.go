package exit

import (
	"context"
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestAnInterruptedCommandEndsAsShellsExpect(t *testing.T) {
	for _, err := range []error{
		fmt.Errorf("watch: %w", context.Canceled),
		status.Error(codes.Canceled, "context canceled"),
	} {
		if e := Of(err); e.Code != 130 {
			t.Errorf("%v exits with %d, want 130", err, e.Code)
		}
	}
}
