// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// Why a document is not read.
package enum XMLFault: Error, Sendable, Equatable, CustomStringConvertible {
    /// Not well-formed, or in an encoding that is not known; the number of the line, from 1.
    case malformed(line: Int)
    /// A document type declaration, without which there are no entities either.
    case documentType
    /// More of something than a router has reason to send.
    case tooLarge(Bound)

    /// What is bounded.
    package enum Bound: String, Sendable, Hashable {
        case bytes, depth, elements, text
    }

    /// The fault in one English line, for logs.
    package var description: String {
        switch self {
        case .malformed(let line): "malformed XML in line \(line)"
        case .documentType: "XML with a document type declaration"
        case .tooLarge(let bound): "XML with too many \(bound.rawValue)"
        }
    }
}

/// An element of a small XML document: what UPnP needs of it, which is names and text.
///
/// A prefix is not part of the name: routers bind them carelessly. Attributes are not kept.
package struct XMLElement: Sendable, Hashable {
    /// The name without its prefix.
    package var name: String
    /// The characters directly inside, without space at either end.
    package var text = ""
    /// The elements inside, in their order.
    package var children: [XMLElement] = []

    /// The longest document, in bytes.
    package static var byteLimit: Int { 256 * 1024 }
    /// How deep elements may nest.
    package static var depthLimit: Int { 32 }
    /// How many elements a document may have.
    package static var elementLimit: Int { 4096 }
    /// How many bytes of UTF-8 the text and the attributes of a document may have together.
    package static var textByteLimit: Int { 128 * 1024 }

    /// Makes an element from its parts.
    package init(_ name: String, text: String = "", children: [XMLElement] = []) {
        self.name = name
        self.text = text
        self.children = children
    }

    /// The first child of that name; nil when there is none.
    package func child(_ name: String) -> XMLElement? {
        children.first { $0.name == name }
    }

    /// The text of the first child of that name; nil when there is none.
    package func text(of name: String) -> String? {
        child(name)?.text
    }

    /// Reads a whole document in UTF-8, UTF-16, ISO 8859-1 or US-ASCII.
    ///
    /// - Throws: `XMLFault`; a document type declaration ends the reading where it begins.
    package static func decode(_ bytes: RawSpan) throws(XMLFault) -> XMLElement {
        guard bytes.byteCount <= byteLimit else { throw .tooLarge(.bytes) }
        return try XMLTreeReader().read(bytes)
    }

    /// Text with the characters replaced that mean something in XML, and without those that XML 1.0 forbids.
    package static func escape(_ text: String) -> String {
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            case "\t", "\n", "\r": escaped.unicodeScalars.append(scalar)
            case "\u{0}"..."\u{1F}", "\u{FFFE}", "\u{FFFF}": continue
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }
}
