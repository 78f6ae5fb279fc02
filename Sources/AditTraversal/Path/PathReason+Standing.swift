// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

extension PathReason {
    /// Whether it says why packets go from device to device.
    package var isDirect: Bool {
        switch self {
        case .sameNetwork, .ipv6, .portMapping, .publicAddress, .punched, .learnt, .tcpForLackOfUDP, .predicted,
            .window, .birthday, .block, .hairpin:
            true
        case .searching, .symmetricMeetsStrict, .bothSymmetric, .udpBlockedAndTCPSymmetric, .onlyWeb, .relayOnly,
            .noCommonFamily, .noAnswer, .noHairpin, .signallingLost, .noRelay, .unnamed:
            false
        }
    }

    /// Whether it names the kind of a NAT that is not known.
    package var lacksKind: Bool {
        switch self {
        case .punched(_, let a, let b), .tcpForLackOfUDP(_, let a, let b), .searching(let a, let b),
            .noAnswer(_, let a, let b):
            a == nil || b == nil
        case .learnt(_, _, _, let filter): filter == nil
        case .symmetricMeetsStrict(_, let strict, _): strict == nil
        case .noRelay(_, let inner): inner.lacksKind
        default: false
        }
    }
}
