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
    private var first: (kind: PathKind, trip: Duration)?
    private var report: PathReport?
    private var shownKind: PathKind?
    private var count = 0
    private var trips: [Duration] = []
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

    mutating func connected(as name: String) {
        own = name
    }

    mutating func handle(_ news: PathNews, at now: Instant) -> Step {
        guard news.peer == peer else { return .wait }
        switch news {
        case .changed(_, let report): return changed(report, at: now)
        case .roundTrip(_, let trip, let report): return measured(trip, report, at: now)
        case .trace(_, let trace):
            if settings.traces { traced(trace) }
            return .wait
        case .ended(_, let failure): return .fail(PathWords.failure(failure, peer))
        case .problem(_, let error): return .fail(error)
        case .received: return .wait
        }
    }

    private mutating func changed(_ report: PathReport, at now: Instant) -> Step {
        self.report = report
        if settings.isJSON { json("path", report, at: now) }
        guard report.kind.isUsable else { return .wait }
        guard report.roundTrip != nil, settings.count == nil else { return .measure }
        return settle(report)
    }

    private mutating func measured(_ trip: Duration, _ report: PathReport, at now: Instant) -> Step {
        self.report = report
        if first == nil { first = (report.kind, trip) }
        if let count = settings.count {
            self.count += 1
            trips.append(trip)
            if settings.isJSON { json("ping", report, trip, at: now) } else { row(trip, report) }
            guard self.count >= count else { return .measureLater }
            return .finish
        }
        if settings.isJSON { json("ping", report, trip, at: now) }
        return settle(report)
    }

    /// A path is settled when it is direct, or when nobody looks for a better one now.
    private func settle(_ report: PathReport) -> Step {
        guard report.roundTrip != nil else { return .measure }
        if report.kind.isDirect { return .finish }
        if case .searching = report.reason { return .wait }
        return .finish
    }

    /// The lines at the end: the path, why, and what both are behind.
    mutating func finish(at now: Instant) {
        guard let report, report.kind.isUsable else { return }
        if settings.isJSON { return json("result", report, at: now) }
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
        if settings.count != nil { add("") }
        add(line)
        add("    " + report.sentence(local: own, remote: peer).in(language))
        let width = max(Figures.width(own), Figures.width(peer))
        add("    " + Figures.padded(own, width) + "   " + PathWords.nat(report.local, language))
        add("    " + Figures.padded(peer, width) + "   " + PathWords.nat(report.remote, language))
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
