// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// What a router answers to an action: values, or a fault.
package enum UPnPResult: Sendable, Hashable {
    /// The values, at most 32.
    case values([UPnPArgument])
    /// Refused.
    case fault(UPnPFault)

    /// Reads the body of an answer; `action` is the name of the action that was called.
    ///
    /// - Throws: `XMLFault`, also when it answers another action.
    package static func decode(_ bytes: RawSpan, action: String) throws(XMLFault) -> UPnPResult {
        let content = try UPnPEnvelope.content(bytes)
        if content.name == "Fault" {
            guard let error = content.child("detail")?.child("UPnPError"),
                let code = error.text(of: "errorCode").flatMap({ UInt16($0) })
            else { return .fault(.actionFailed) }
            return .fault(UPnPFault(rawValue: code))
        }
        guard content.name == action + "Response" else { throw .malformed(line: 1) }
        return .values(content.children.prefix(32).map { UPnPArgument($0.name, $0.text) })
    }

    /// The value of that name; nil when there is none, or the answer is a fault.
    package func value(_ name: String) -> String? {
        guard case .values(let values) = self else { return nil }
        return values.first { $0.name == name }?.value
    }

    /// Appends the body of the answer to an action.
    package func encode(action: String, service: UPnPServiceKind, into bytes: inout [UInt8]) {
        switch self {
        case .values(let values):
            UPnPEnvelope.encode(action + "Response", service: service.rawValue, values, into: &bytes)
        case .fault(let fault):
            let text =
                UPnPEnvelope.open
                + "<s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail>"
                + "<UPnPError xmlns=\"urn:schemas-upnp-org:control-1-0\"><errorCode>\(fault.rawValue)</errorCode>"
                + "<errorDescription>\(fault.name)</errorDescription></UPnPError></detail></s:Fault>"
                + UPnPEnvelope.close
            bytes += Array(text.utf8)
        }
    }
}

/// Why a router refuses an action (UPnP Device Architecture section 3.2.2, WANIPConnection section 2.4).
package struct UPnPFault: RawRepresentable, Sendable, Hashable {
    /// The errorCode.
    package var rawValue: UInt16

    /// Makes it from the errorCode.
    package init(rawValue: UInt16) { self.rawValue = rawValue }

    /// No action of that name.
    package static let invalidAction = UPnPFault(rawValue: 401)
    /// An argument is missing or wrong.
    package static let invalidArguments = UPnPFault(rawValue: 402)
    /// The router could not do it, without a reason.
    package static let actionFailed = UPnPFault(rawValue: 501)
    /// The router's owner forbids it.
    package static let notAuthorized = UPnPFault(rawValue: 606)
    /// No mapping at this place.
    package static let noSuchEntry = UPnPFault(rawValue: 714)
    /// The port is another's.
    package static let conflictInMappingEntry = UPnPFault(rawValue: 718)
    /// The external port must be the internal one.
    package static let samePortValuesRequired = UPnPFault(rawValue: 724)
    /// Mappings last for ever or not at all.
    package static let onlyPermanentLeasesSupported = UPnPFault(rawValue: 725)
    /// A mapping is for all remote hosts.
    package static let remoteHostOnlySupportsWildcard = UPnPFault(rawValue: 726)
    /// A mapping is for all external ports.
    package static let externalPortOnlySupportsWildcard = UPnPFault(rawValue: 727)
    /// The router has no more mappings to give.
    package static let noPortMapsAvailable = UPnPFault(rawValue: 728)
    /// The port is used by the router in another way.
    package static let conflictWithOtherMechanisms = UPnPFault(rawValue: 729)

    /// The errorDescription.
    package var name: String {
        switch self {
        case .invalidAction: "Invalid Action"
        case .invalidArguments: "Invalid Args"
        case .actionFailed: "Action Failed"
        case .notAuthorized: "Action not authorized"
        case .noSuchEntry: "NoSuchEntryInArray"
        case .conflictInMappingEntry: "ConflictInMappingEntry"
        case .samePortValuesRequired: "SamePortValuesRequired"
        case .onlyPermanentLeasesSupported: "OnlyPermanentLeasesSupported"
        case .remoteHostOnlySupportsWildcard: "RemoteHostOnlySupportsWildcard"
        case .externalPortOnlySupportsWildcard: "ExternalPortOnlySupportsWildcard"
        case .noPortMapsAvailable: "NoPortMapsAvailable"
        case .conflictWithOtherMechanisms: "ConflictWithOtherMechanisms"
        default: "Error \(rawValue)"
        }
    }
}
