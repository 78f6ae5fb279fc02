// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import ArgumentParser

/// `adit play NAME/PORT`
struct PlayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "play",
        abstract: "A friend's game server at the same port of this computer, TCP and UDP, directly where possible.",
        discussion: "The friend runs:  adit game PORT"
    )

    @Argument(help: ArgumentHelp("The device and the port of its game.", valueName: "name/port"))
    var place: String

    @Argument(help: ArgumentHelp("The port on this computer. Without it, the same one.", valueName: "local-port"))
    var port: UInt16?

    @OptionGroup var session: SessionOptions

    /// The visit that the words describe.
    func order() throws -> VisitOrder {
        guard let place = ServicePlace(place), let number = UInt16(place.service), number > 0 else {
            throw ValidationError("\"\(place)\" is not NAME/PORT, such as mei/25565")
        }
        return VisitOrder(place, kind: .both, port: port ?? number)
    }

    func run() async throws {
        if session.paths.noPaths { throw ValidationError("a game is reached by a path; leave --no-paths away") }
        let order = try order()
        try await TunnelRun(orders: [], visits: [order], session: session, takesFreePort: port == nil).run()
    }
}
