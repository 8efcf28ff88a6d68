package main

import (
	"github.com/spf13/cobra"
)

// completionExamples show for each shell how its completion is loaded for good.
var completionExamples = map[string]string{
	"bash":       "  trunkline completion bash | sudo tee /etc/bash_completion.d/trunkline >/dev/null",
	"zsh":        "  trunkline completion zsh > \"${fpath[1]}/_trunkline\"",
	"fish":       "  trunkline completion fish > ~/.config/fish/completions/trunkline.fish",
	"powershell": "  trunkline completion powershell >> $PROFILE",
}

// addCompletion adds cobra's commands for completion and help now, so that they have examples and exit codes like all others.
// It comes last: completion is of the commands that are there.
func addCompletion(root *cobra.Command) {
	// No argument of ours is a file but where a flag says so.
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "completion":
			cmd.Short = "Print the completion script of a shell: bash, zsh, fish or powershell"
			cmd.RunE = needsSubcommand
			for _, shell := range cmd.Commands() {
				shell.Example = completionExamples[shell.Name()]
			}
		case "help":
			cmd.Example = "  trunkline help backfill start"
		}
	}
}
