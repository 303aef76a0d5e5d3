package command

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// Version tells what this dark was built from.
func Version(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "tell the version of this command; dark status tells the server's", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := map[string]any{"version": "unknown", "go": runtime.Version(), "platform": runtime.GOOS + "/" +
				runtime.GOARCH}
			if b, ok := debug.ReadBuildInfo(); ok {
				v["version"] = b.Main.Version
				for _, kv := range b.Settings {
					if kv.Key == "vcs.revision" {
						v["commit"] = kv.Value
					}
				}
			}
			return s.value(v, func() error {
				_, err := fmt.Fprintf(s.Out, "dark %v (%v, %v)\n", v["version"], v["go"], v["platform"])
				return err
			})
		},
	}
}
