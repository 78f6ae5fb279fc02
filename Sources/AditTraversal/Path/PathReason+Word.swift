// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

extension PathReason {
    /// One word for programs, which never changes.
    package var word: String {
        switch self {
        case .sameNetwork: "same-network"
        case .ipv6: "ipv6"
        case .portMapping: "port-mapping"
        case .publicAddress: "public-address"
        case .punched: "punched"
        case .learnt: "learnt-port"
        case .tcpForLackOfUDP: "udp-blocked-tcp-met"
        case .predicted: "predicted"
        case .window: "window"
        case .birthday: "birthday"
        case .block: "block"
        case .hairpin: "hairpin"
        case .searching: "searching"
        case .symmetricMeetsStrict: "symmetric-meets-strict"
        case .bothSymmetric: "both-symmetric"
        case .udpBlockedAndTCPSymmetric: "udp-blocked-tcp-symmetric"
        case .onlyWeb: "only-web"
        case .relayOnly: "relay-only"
        case .noCommonFamily: "no-common-family"
        case .noAnswer: "no-answer"
        case .noHairpin: "no-hairpin"
        case .signallingLost: "signalling-lost"
        case .noRelay(_, let inner): "no-relay-\(inner.word)"
        case .unnamed: "unnamed"
        }
    }
}
