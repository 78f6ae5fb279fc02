// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditTraversal
import ArgumentParser

extension PathPolicy: ExpressibleByArgument {}
extension PathTactic: ExpressibleByArgument {}

/// How a command takes part in finding paths between devices.
struct PathFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Paths to other devices: auto (relayed at once, direct when possible), only (direct), off (relayed). (auto)",
            valueName: "auto|only|off"
        )
    )
    var p2p: PathPolicy?

    @Flag(name: .customLong("no-paths"), help: "Other devices cannot look for a path to this one.")
    var noPaths = false

    @Flag(
        name: .customLong("port-blocks"),
        help: "Search for ports where both carriers draw them from small blocks, when the other device does so too."
    )
    var portBlocks = false

    /// The options of the service; nil when this process takes no part.
    func options() -> PathOptions? {
        guard !noPaths else { return nil }
        var options = PathOptions()
        options.policy = p2p ?? .automatic
        if portBlocks { options.tactics = PathTactic.withPortBlocks }
        return options
    }
}
