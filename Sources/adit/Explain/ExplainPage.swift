// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// The offline page about one error: what it means, why it happens, how to check, and what mends it.
struct ExplainPage: Sendable {
    let title: Text
    let meaning: Text
    let causes: Text
    let check: Text
    let fix: Text

    /// The page as text, with headings in the same language.
    func text(for code: ErrorCode, in language: Language) -> String {
        let headings: [Text] = [
            Text("What", zh: "是什么"), Text("Why", zh: "为什么"), Text("How to check", zh: "如何确认"),
            Text("How to fix", zh: "如何解决"),
        ]
        var lines = ["\(code)  \(title.in(language))"]
        for (heading, body) in zip(headings, [meaning, causes, check, fix]) {
            lines.append("")
            lines.append(heading.in(language))
            lines += body.in(language).split(separator: "\n").map { "  " + $0 }
        }
        return lines.joined(separator: "\n")
    }

    /// One line for each code.
    static func list(in language: Language) -> String {
        ErrorCode.allCases.map { "\($0)  \($0.page.title.in(language))" }.joined(separator: "\n")
    }
}

extension ErrorCode {
    /// The code that a person typed: `ADIT-201`, `adit-201` or `201`; nil when there is none with that number.
    init?(typed text: String) {
        let lowered = text.lowercased()
        let digits = lowered.hasPrefix("adit-") ? lowered.dropFirst(5) : Substring(lowered)
        guard digits.utf8.count == 3, digits.utf8.allSatisfy({ (48...57).contains($0) }), let number = Int(digits)
        else {
            return nil
        }
        self.init(rawValue: number)
    }

    /// The page about this code.
    var page: ExplainPage {
        switch self {
        case .serverUnreachable: .serverUnreachable
        case .nameDoesNotResolve: .nameDoesNotResolve
        case .captivePortal: .captivePortal
        case .udpBlocked: .udpBlocked
        case .stunSilent: .stunSilent
        case .relayUnusable: .relayUnusable
        case .inviteUsed: .inviteUsed
        case .inviteExpired: .inviteExpired
        case .inviteWrong: .inviteWrong
        case .inviteLimit: .inviteLimit
        case .deviceRemoved: .deviceRemoved
        case .tokenRefused: .tokenRefused
        case .notJoined: .notJoined
        case .serverKeyChanged: .serverKeyChanged
        case .clockOff: .clockOff
        case .versionsApart: .versionsApart
        case .nothingListens: .nothingListens
        case .wrongScheme: .wrongScheme
        case .refusedInContainer: .refusedInContainer
        case .otherAddress: .otherAddress
        case .hostRejected: .hostRejected
        case .appTooSlow: .appTooSlow
        case .targetLoop: .targetLoop
        case .targetRefused: .targetRefused
        case .serviceDown: .serviceDown
        case .serviceUnknown: .serviceUnknown
        case .serviceUnproven: .serviceUnproven
        case .programMissing: .programMissing
        case .deviceOffline: .deviceOffline
        case .nameUnknown: .nameUnknown
        case .visitorRefused: .visitorRefused
        case .signInNeeded: .signInNeeded
        case .misdirected: .misdirected
        case .movedToTLS: .movedToTLS
        case .nameInvalid: .nameInvalid
        case .nameTaken: .nameTaken
        case .nameReserved: .nameReserved
        case .notAllowed: .notAllowed
        case .portTaken: .portTaken
        case .portBlockedByBrowsers: .portBlockedByBrowsers
        case .portOutsideRange: .portOutsideRange
        case .takenOver: .takenOver
        case .kindUnavailable: .kindUnavailable
        case .wildcardMissing: .wildcardMissing
        case .proxyExists: .proxyExists
        case .limitReached: .limitReached
        case .deviceUnknown: .deviceUnknown
        case .pathsOff: .pathsOff
        case .deviceKeyChanged: .deviceKeyChanged
        case .noPath: .noPath
        case .riskyPort: .riskyPort
        case .routerSilent: .routerSilent
        case .routerRefused: .routerRefused
        case .doubleNAT: .doubleNAT
        case .configuration: .configuration
        case .usage: .usage
        case .state: .state
        case .cannotListen: .cannotListen
        case .serverProcess: .serverProcess
        case .certificateUnusable: .certificateUnusable
        case .protocolBroken: .protocolBroken
        }
    }
}
