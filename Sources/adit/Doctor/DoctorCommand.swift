// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import ArgumentParser
import NIOCore
import NIOPosix

/// `adit doctor`: the way to the server, or what is asked for by name.
struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Why doesn't it work? Checks the way from this computer to its server.",
        subcommands: [DoctorPathCommand.self, DoctorNATCommand.self],
        defaultSubcommand: DoctorPathCommand.self
    )
}

/// `adit doctor [HOST[:PORT]]`
struct DoctorPathCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "path",
        abstract: "Why doesn't it work? Checks the way from this computer to its server.",
        discussion: """
            Looks at each hop, names the first that is broken, and one thing to do. It changes nothing, logs in nowhere, \
            needs no rights and takes at most 8 s. The exit code is 1 when something is broken.

            turn:HOST[:PORT] and turns:HOST[:PORT] name any TURN server (RFC 7065): a relay is asked for over UDP, TCP and \
            TLS, a datagram goes through it, and it is given back.
            """
    )

    @Argument(help: "A server, HOST[:PORT] or turn:HOST[:PORT]. Without it, the one that this computer joined last.")
    var server: String?

    @Option(help: ArgumentHelp("The user for a TURN server.", valueName: "name"))
    var user: String?

    @Option(help: ArgumentHelp("The password; without it, the environment's ADIT_TURN_PASSWORD.", valueName: "text"))
    var password: String?

    @Option(help: "The language of the report: en or zh. Without it, the system's.")
    var language: Language?

    @Flag(help: "One JSON object.")
    var json = false

    func run() async throws {
        let environment = ProcessFacts.environment()
        var style = ProcessFacts.style(environment)
        if let language { style.language = language }
        if let server, let place = TURNPlace(server) {
            return try await examine(place, environment, style)
        }
        // A computer without a state folder can look at a server all the same.
        let home = server == nil ? try ProcessFacts.home() : try? ProcessFacts.home()
        let processes = home.map(StatusSocket.askAll) ?? []
        let subject = try DoctorSubject.choose(server, home: home, processes: processes)
        let probes = SystemDoctorProbes(
            on: MultiThreadedEventLoopGroup.singleton.next(),
            home: home,
            environment: environment
        )
        let start = NIODeadline.now()
        let doctor = Doctor(probes: probes) { .nanoseconds((NIODeadline.now() - start).nanoseconds) }
        try show(await doctor.examine(subject), style)
    }

    private func examine(_ place: TURNPlace, _ environment: [String: String], _ style: ScreenStyle) async throws {
        let probes = SystemDoctorProbes(
            on: MultiThreadedEventLoopGroup.singleton.next(),
            home: nil,
            environment: environment
        )
        let password = password ?? environment["ADIT_TURN_PASSWORD"] ?? ""
        let wish = user.map { TURNWish(username: $0, password: password) }
        let start = NIODeadline.now()
        let doctor = TURNDoctor(probes: probes) { .nanoseconds((NIODeadline.now() - start).nanoseconds) }
        try show(await doctor.examine(place, wish), style)
    }

    private func show(_ report: DoctorReport, _ style: ScreenStyle) throws {
        if json {
            StandardStream.line(DoctorJSON.object(report, style.language).text)
        } else {
            for line in DoctorScreen.lines(report, style) { StandardStream.line(line) }
        }
        if report.firstBroken != nil { throw ExitCode.failure }
    }
}
