// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import AditTraversal

/// Turns what happens on the way to another device into lines, and says when a ping has its answer.
struct PingModel: Sendable {
    /// What is to be done after a piece of news.
    enum Step: Sendable, Equatable {
        /// Go on.
        case wait
        /// Measure a round trip now.
        case measure
        /// Measure the next one after the pause between two.
        case measureLater
        /// It is answered.
        case finish
        /// There is no answer, for this reason.
        case fail(AditError)
    }

    /// How a ping is shown.
    struct Settings: Sendable {
        var isJSON = false
        var traces = false
        /// How many round trips are shown one by one; nil for the path alone, until it is settled.
        var count: Int?
    }

    private let peer: String
    private let settings: Settings
    private let style: ScreenStyle
    private let begin: Instant
    private(set) var own = ""
    /// Which run of the other device has answered.
    private(set) var contact: PathContact?
    private var first: (kind: PathKind, trip: Duration)?
    private var report: PathReport?
    /// Whether the server can tell what a NAT does.
    private var offersSTUN = true
    /// Whether what is not known yet is waited for.
    private var isPatient = true
    /// Of which path the line was shown.
    private var shownKind: PathKind?
    /// Which path the last round trip was asked for on, when round trips are counted.
    private var measured: (kind: PathKind, remote: IPEndpoint?)?
    private var count = 0
    private(set) var output: [ScreenOutput] = []

    init(peer: String, settings: Settings, style: ScreenStyle, at now: Instant) {
        self.peer = peer
        self.settings = settings
        self.style = style
        begin = now
    }

    /// The lines since the last call.
    mutating func takeOutput() -> [ScreenOutput] {
        defer { output = [] }
        return output
    }

    /// Whether there is a path now.
    var hasPath: Bool { report?.kind.isUsable ?? false }

    mutating func connected(as name: String, offersSTUN: Bool) {
        own = name
        self.offersSTUN = offersSTUN
    }

    mutating func handle(_ news: PathNews, at now: Instant) -> Step {
        guard news.peer == peer else { return .wait }
        // Other runs of the device may look for a path to this one.
        if let found = news.contact {
            guard contact == nil || contact?.id == found.id else { return .wait }
            contact = found
        }
        switch news {
        case .changed(_, let report): return changed(report, at: now)
        case .roundTrip(_, let trip, let report): return measured(trip, report, at: now)
        case .trace(_, let trace):
            if settings.traces { traced(trace) }
            return .wait
        case .ended(_, let failure): return .fail(PathWords.failure(failure, peer))
        case .problem(_, let error): return .fail(error)
        case .opened, .received: return .wait
        }
    }

    /// Why packets go the way they do, or none.
    var reason: Text? {
        guard let report else { return nil }
        return report.isSideA ? report.reason.words(a: own, b: peer) : report.reason.words(a: peer, b: own)
    }

    /// Which round trip is awaited, when they are counted.
    var awaited: Int? { settings.count.flatMap { count < $0 ? count : nil } }

    /// The packets of that round trip may be lost: they went on a path that is another one now.
    func overdue(_ number: Int) -> Step { number == awaited && hasPath ? .measure : .wait }

    /// What is not known by now will not be: no round trip that is on its way, and no NAT.
    mutating func endPatience() -> Step {
        isPatient = false
        guard let report, report.kind.isUsable, count >= settings.count ?? 0 else { return .wait }
        return settle(report)
    }

    private mutating func changed(_ report: PathReport, at now: Instant) -> Step {
        self.report = report
        if settings.isJSON { json("path", report, at: now) }
        guard report.kind.isUsable else { return .wait }
        guard let wanted = settings.count else { return settle(report) }
        if count >= wanted { return settle(report) }
        // The next one is asked for after a pause, but at once on another path: what was on its way may be lost.
        guard measured?.kind != report.kind || measured?.remote != report.remoteEndpoint else { return .wait }
        measured = (report.kind, report.remoteEndpoint)
        return .measure
    }

    private mutating func measured(_ trip: Duration, _ report: PathReport, at now: Instant) -> Step {
        self.report = report
        if first == nil { first = (report.kind, trip) }
        if let wanted = settings.count {
            guard count < wanted else { return settle(report) }
            count += 1
            if settings.isJSON { json("ping", report, trip, at: now) } else { row(trip, report) }
            return count < wanted ? .measureLater : settle(report)
        }
        if settings.isJSON { json("ping", report, trip, at: now) }
        return settle(report)
    }

    /// It is answered when the path is direct, or nobody looks for a better one now, and when both NATs are known.
    private mutating func settle(_ report: PathReport) -> Step {
        guard report.roundTrip != nil else { return .measure }
        if settings.count == nil {
            if !report.kind.isDirect, case .searching = report.reason { return .wait }
            // A path that the other device has already said to be direct becomes so with the next packet.
            if isPatient || !report.kind.isDirect, report.kind.isDirect != report.reason.isDirect { return .wait }
            if report.kind.isDirect, !settings.isJSON { showPath(report) }
        }
        return isPatient && lacksNAT(report) ? .wait : .finish
    }

    private func lacksNAT(_ report: PathReport) -> Bool {
        // Whoever uses only the relay tells nothing of what it is behind.
        if case .relayOnly = report.reason { return false }
        return report.reason.lacksKind || !report.local.isNamed || !report.remote.isNamed
    }

    /// The lines at the end: the path, why, and what both are behind.
    mutating func finish(at now: Instant) {
        guard let report, report.kind.isUsable else { return }
        if settings.isJSON { return json("result", report, at: now) }
        if settings.count != nil { add("") }
        showPath(report)
        let language = style.language
        add("    " + report.sentence(local: own, remote: peer).in(language))
        let width = max(Figures.width(own), Figures.width(peer))
        for (name, nat) in [(own, report.local), (peer, report.remote)] {
            // Whoever uses the relay only does not look.
            if case .relayOnly = report.reason, !nat.isNamed { continue }
            let lack = Text("  (the server offers no STUN)", zh: "（服务器不提供 STUN）").in(language)
            add("    " + Figures.padded(name, width) + "   " + nat.words.in(language) + (offersSTUN ? "" : lack))
        }
    }

    /// The path in a line, unless that line was the last one.
    private mutating func showPath(_ report: PathReport) {
        let language = style.language
        var line = "\(Foreign.clean(peer, limit: 64))   "
        let last = PathWords.kind(report.kind).in(language) + (report.roundTrip.map { " " + PathWords.trip($0) } ?? "")
        if let first, first.kind != report.kind {
            line += PathWords.kind(first.kind).in(language) + " " + PathWords.trip(first.trip) + " → " + last
        } else {
            line += last
        }
        if report.kind.isDirect, let time = report.timeToDirect {
            line += Text(" after \(PathWords.trip(time))", zh: "，用时 \(PathWords.trip(time))").in(language)
        }
        guard shownKind != report.kind else { return }
        shownKind = report.kind
        add(line)
    }

    private mutating func row(_ trip: Duration, _ report: PathReport) {
        let name = Foreign.clean(peer, limit: 64)
        let remote = report.remoteEndpoint.map { "   " + $0.description } ?? ""
        add("\(name)   \(PathWords.kind(report.kind).in(style.language))   \(PathWords.trip(trip))\(remote)")
    }

    private mutating func traced(_ trace: PathTrace) {
        let after = max(.zero, trace.at - begin)
        let milliseconds = after.wholeNanoseconds / 1_000_000
        if settings.isJSON {
            let words = trace.words.in(style.language)
            output.append(
                .line(
                    JSONLine([
                        "event": "trace", "afterMs": .number(milliseconds), "peer": .string(peer),
                        "text": .string(words),
                    ]).text
                )
            )
        } else {
            output.append(
                .aside(
                    style.spell(
                        Figures.rightAligned("\(milliseconds) ms", 9) + "  "
                            + Foreign.clean(trace.words.in(style.language), limit: 300)
                    )
                )
            )
        }
    }

    /// The last line of a ping without an answer, for programs.
    mutating func fail(_ error: AditError, at now: Instant) {
        guard settings.isJSON else { return }
        let line = JSONLine([
            "event": "result", "afterMs": .number((now - begin).wholeNanoseconds / 1_000_000), "peer": .string(peer),
            "path": "none", "error": .error(error, style.language),
        ])
        output.append(.line(line.text))
    }

    private mutating func json(_ event: String, _ report: PathReport, _ trip: Duration? = nil, at now: Instant) {
        var line = JSONLine([
            "event": .string(event), "afterMs": .number((now - begin).wholeNanoseconds / 1_000_000),
            "tripMs": trip.map(PathJSON.milliseconds),
        ])
        line.add(PathJSON.members(peer, report, own: own, style.language))
        output.append(.line(line.text))
    }

    private mutating func add(_ text: String) {
        output.append(.line(style.spell(text)))
    }
}
