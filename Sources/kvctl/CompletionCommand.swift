import ArgumentParser

struct CompletionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "completion",
        abstract: "The script by which a shell completes kvctl's commands.",
        discussion: """
            bash: kvctl completion bash > /etc/bash_completion.d/kvctl
            zsh: kvctl completion zsh > ~/.zfunc/_kvctl, with ~/.zfunc in fpath
            fish: kvctl completion fish > ~/.config/fish/completions/kvctl.fish
            """
    )

    enum Shell: String, ExpressibleByArgument, CaseIterable {
        case bash
        case zsh
        case fish
    }

    @Argument(help: "bash, zsh or fish.") var shell: Shell

    func run() throws {
        let kind: CompletionShell =
            switch shell {
            case .bash: .bash
            case .zsh: .zsh
            case .fish: .fish
            }
        write(KVCtl.completionScript(for: kind) + "\n")
    }
}
