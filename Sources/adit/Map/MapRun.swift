// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import AditTransport
import AditTraversal
import ArgumentParser
import NIOCore

/// Keeps the router's ports open and shows what happens, until a signal or until there is nothing to keep.
struct MapRun: Sendable {
    private enum Wake: Sendable {
        case event(PortMappingEvent)
        case signal
    }

    let order: PortMapOrder
    let servers: [IPEndpoint]
    let protocols: Set<PortMappingProtocol>
    let isJSON: Bool

    /// Runs until the end; a signal is a good end.
    ///
    /// - Throws: `ExitCode` 1 after an error that was shown.
    func run(on loop: any EventLoop) async throws {
        let (wakes, continuation) = AsyncStream.makeStream(of: Wake.self, bufferingPolicy: .bufferingNewest(1024))
        let signals = CommandSignal.watch { _ in continuation.yield(.signal) }
        defer { signals.cancel() }
        let session = PortMapSession(
            PortMappingClient.Configuration(
                network: .current(),
                wishes: order.wishes,
                protocols: protocols,
                stunServers: servers
            ),
            on: loop
        ) { continuation.yield(.event($0)) }
        session.start()
        var screen = MapScreen(order: order, style: ProcessFacts.style(), isJSON: isJSON)
        var problem: AditError?
        show: for await wake in wakes {
            switch wake {
            case .signal: break show
            case .event(let event):
                for line in screen.lines(event, at: ScreenTime.now()) { StandardStream.line(line) }
                problem = screen.problem
                if problem != nil { break show }
            }
        }
        let left = await session.stop()
        for line in screen.end(problem, unconfirmed: left, at: ScreenTime.now()) { StandardStream.line(line) }
        if let problem {
            if !isJSON { CommandFailure.show(problem) }
            throw ExitCode.failure
        }
    }
}
