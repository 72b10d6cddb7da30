// The part of talosctl that needs no node: `gen` and `machineconfig` are Talos' own commands. `validate` is
// written here around the functions that Talos' own command calls, since that command's package needs a
// version of rtnetlink which the module proxy does not have.
package main

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/siderolabs/talos/cmd/talosctl/cmd/mgmt/gen"
	"github.com/siderolabs/talos/cmd/talosctl/cmd/mgmt/machineconfig"
	"github.com/siderolabs/talos/pkg/machinery/config/configloader"
	"github.com/siderolabs/talos/pkg/machinery/config/validation"
	"github.com/spf13/cobra"
)

// runtimeMode is what validation asks of the machine: does it install to a disk, is it a container?
type runtimeMode struct{ name string }

func (m runtimeMode) String() string        { return m.name }
func (m runtimeMode) RequiresInstall() bool { return m.name == "metal" }
func (m runtimeMode) InContainer() bool     { return m.name == "container" }

func newValidateCommand() *cobra.Command {
	var file, mode string
	var strict bool
	command := &cobra.Command{
		Use:   "validate",
		Short: "Validate a machine configuration",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if !slices.Contains([]string{"metal", "cloud", "container", "metal-agent"}, mode) {
				return fmt.Errorf("unknown runtime mode: %q", mode)
			}
			return validate(file, runtimeMode{mode}, strict)
		},
	}
	command.Flags().StringVarP(&file, "config", "c", "", "the machine configuration")
	command.Flags().StringVarP(&mode, "mode", "m", "", "metal, cloud, container or metal-agent")
	command.Flags().BoolVar(&strict, "strict", false, "warnings are errors")
	if err := errors.Join(command.MarkFlagRequired("config"), command.MarkFlagRequired("mode")); err != nil {
		panic(err)
	}
	return command
}

func validate(file string, mode runtimeMode, strict bool) error {
	config, err := configloader.NewFromFile(file)
	if err != nil {
		return err
	}
	options := []validation.Option{validation.WithLocal()}
	if strict {
		options = append(options, validation.WithStrict())
	}
	warnings, err := config.ValidateAsClient(mode, options...)
	for _, warning := range warnings {
		fmt.Fprintf(os.Stderr, "* %s\n", warning)
	}
	if err != nil {
		return err
	}
	fmt.Printf("%s is valid for %s mode\n", file, mode)
	return nil
}

func main() {
	root := &cobra.Command{Use: "talosctl", SilenceUsage: true}
	root.AddCommand(gen.Cmd, machineconfig.Cmd, newValidateCommand())
	if err := root.Execute(); err != nil {
		os.Exit(1)
	}
}
