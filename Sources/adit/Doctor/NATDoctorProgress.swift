// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import AditTraversal
import Glibc
import Synchronization

/// One line on a terminal's standard error that says what is being done.
final class NATDoctorProgress: Sendable {
    private struct State {
        var hasLine = false
        var isOver = false
    }

    private let style: ScreenStyle?
    private let state = Mutex(State())

    /// Shows nothing where standard error is no terminal.
    init(isShown: Bool, language: Language) {
        var style = ProcessFacts.asideStyle()
        style.language = language
        self.style = isShown && style.isTerminal ? style : nil
    }

    /// Shows how far it is.
    func tell(_ progress: NATDoctor.Progress) {
        guard let style else { return }
        let words = "  " + style.spell(Self.words(progress).in(style.language) + " …")
        state.withLock { state in
            guard !state.isOver else { return }
            state.hasLine = true
            StandardStream.write("\r\u{1B}[2K" + words, to: STDERR_FILENO)
        }
    }

    /// Takes the line away.
    func end() {
        state.withLock { state in
            state.isOver = true
            if state.hasLine { StandardStream.write("\r\u{1B}[2K", to: STDERR_FILENO) }
        }
    }

    static func words(_ progress: NATDoctor.Progress) -> Text {
        switch progress {
        case .step(.servers): Text("looking for the servers", zh: "正在联系服务器")
        case .step(.behavior): Text("measuring the NAT", zh: "正在测量 NAT")
        case .step(.restarted): Text("the address changed; measuring again", zh: "地址已变化，正在重新测量")
        case .step(.lifetime): Text("measuring how long a mapping lives", zh: "正在测量映射的存活时间")
        case .measuringLifetime(let limit):
            Text(
                "measuring how long a mapping lives, up to \(Figures.duration(limit))",
                zh: "正在测量映射的存活时间，最长 \(Figures.duration(limit))"
            )
        }
    }
}
