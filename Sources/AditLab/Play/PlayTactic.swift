// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
import AditTraversal

/// How the hosts of a play try.
package enum PlayTactic: String, Sendable, Hashable, CaseIterable {
    /// Both send to the other's address at the same time; over TCP both connect.
    case plain
    /// The plain punch over TCP.
    case tcp
    /// Seven steps, one after the other, taken literally.
    case sevenSteps = "seven-steps"
    /// Seven steps, with the socket of the fourth kept.
    case sevenStepsKept = "seven-steps-kept"
    /// One side's NAT counts: its next ports are tried.
    case prediction
    /// Both sides' NATs count: many sockets meet in the middle.
    case window
    /// One side's ports are random: it opens many, the other tries many.
    case birthday
    /// Both sides' ports are in small blocks: both try many.
    case block

    /// The only transport that it knows; nil for either.
    package var transport: PunchTransport? {
        switch self {
        case .tcp, .sevenSteps, .sevenStepsKept: .tcp
        case .plain, .prediction, .window, .birthday, .block: nil
        }
    }

    /// Whether ports are searched.
    package var isSearch: Bool {
        switch self {
        case .prediction, .window, .birthday, .block: true
        case .plain, .tcp, .sevenSteps, .sevenStepsKept: false
        }
    }

    /// Whether a plan is of this kind.
    func suits(_ plan: SearchPlan) -> Bool {
        switch (self, plan.tactic) {
        case (.prediction, .prediction), (.window, .window), (.birthday, .birthday), (.block, .block): true
        default: false
        }
    }
}

extension PlayTactic {
    /// The tactic in plain words.
    package var words: Text {
        switch self {
        case .plain: Text("plain punch", zh: "普通打洞")
        case .tcp: Text("both sides connect at the same time", zh: "双方同时发起连接")
        case .sevenSteps: Text("seven steps, taken literally", zh: "七步法，照字面执行")
        case .sevenStepsKept: Text("seven steps, the socket of step 4 kept", zh: "七步法，保留第 4 步的套接字")
        case .prediction: Text("port prediction", zh: "端口预测")
        case .window: Text("port prediction on both sides", zh: "双方端口预测")
        case .birthday: Text("birthday search", zh: "生日搜索")
        case .block: Text("search in port blocks", zh: "端口块内搜索")
        }
    }

    /// What is to be known of it after a play; nil for nothing.
    package var remark: Text? {
        switch self {
        case .sevenSteps: SevenSteps.reach(keepsFourthSocket: false)
        case .sevenStepsKept: SevenSteps.reach(keepsFourthSocket: true)
        case .plain, .tcp, .prediction, .window, .birthday, .block: nil
        }
    }
}
