// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// Which services a run of a device has, so that others are led to it (id 0x4009).
///
/// The names stand for all earlier ones of the session, unless they are said to be added to them. The server forgets them
/// with the session.
package struct AditServices: Sendable, Equatable {
    /// The largest number of names of one session.
    package static let nameLimit = 256
    /// The longest name, in bytes of UTF-8.
    package static let nameByteLimit = 64
    /// How many bytes of names one message carries at most; with everything around them they fit into a message of wire v1.
    private static let messageByteLimit = 4096

    /// The names.
    package var names: [String]
    /// Whether they are added to the earlier ones.
    package var isMore: Bool

    /// Makes the message from its fields.
    package init(names: [String] = [], isMore: Bool = false) {
        self.names = names
        self.isMore = isMore
    }

    /// Whether it is a service's name: 1 to 64 bytes, none of them of a control character.
    package static func isName(_ name: String) -> Bool {
        (1...nameByteLimit).contains(name.utf8.count) && name.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
    }

    /// Whether there are no more names than a session may have, and all of them are names.
    package var isWellFormed: Bool { names.count <= Self.nameLimit && names.allSatisfy(Self.isName) }

    /// The messages that tell these names; what is no name, and what is beyond the limit, is left out.
    package static func messages(for names: [String]) -> [AditServices] {
        var messages = [AditServices()]
        var byteCount = 0
        for name in names.filter(isName).prefix(nameLimit) {
            if byteCount + name.utf8.count > messageByteLimit {
                messages.append(AditServices(isMore: true))
                byteCount = 0
            }
            messages[messages.count - 1].names.append(name)
            byteCount += name.utf8.count
        }
        return messages
    }
}

extension AditServices: JSONMessage {
    private enum Key: String, CodingKey { case names, more }

    init(json decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Key.self)
        self.init(names: try fields.list(.names), isMore: try fields.flag(.more))
    }

    func write(to object: inout JSONObjectWriter) {
        object.field("names", names)
        object.field("more", isMore)
    }
}
