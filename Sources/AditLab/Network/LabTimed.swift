// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// Something with one timer in virtual time.
package class LabTimed {
    /// Where the lab keeps it.
    fileprivate(set) var slot: UInt32?
    /// The serial number of the pending event that counts.
    fileprivate(set) var serial: UInt32 = 0
    /// When the pending event happens.
    fileprivate(set) var pending: Int64?
    /// When the timer is due; nil when it is not set.
    var deadline: Int64?

    init() {}

    /// Called at the deadline.
    func fire() {}
}

/// A closure that runs at a time.
final class LabAction: LabTimed {
    private let body: () -> Void
    private unowned let lab: Lab

    init(_ lab: Lab, _ body: @escaping () -> Void) {
        self.lab = lab
        self.body = body
    }

    override func fire() {
        lab.timers.forget(self)
        body()
    }
}

/// The owners of timers, by slot.
struct TimerSlots {
    private var owners: [LabTimed?] = []
    private var free: [UInt32] = []
    private var nextSerial: UInt32 = 0

    /// Sets the timer of `owner`; gives the event to queue, nil when one that is early enough already waits.
    mutating func arm(_ owner: LabTimed, at deadline: Int64?) -> (slot: UInt32, serial: UInt32, at: Int64)? {
        owner.deadline = deadline
        guard let deadline else { return nil }
        if let pending = owner.pending, pending <= deadline { return nil }
        let slot = owner.slot ?? take(owner)
        nextSerial &+= 1
        owner.serial = nextSerial
        owner.pending = deadline
        return (slot, nextSerial, deadline)
    }

    /// Lets go of an owner whose timer shall never fire again.
    mutating func forget(_ owner: LabTimed) {
        owner.deadline = nil
        owner.pending = nil
        guard let slot = owner.slot else { return }
        owners[Int(slot)] = nil
        free.append(slot)
        owner.slot = nil
    }

    /// The owner of a timer event, nil when the event no longer counts.
    mutating func owner(_ slot: UInt32, serial: UInt32) -> LabTimed? {
        guard let owner = owners[Int(slot)], owner.serial == serial, owner.pending != nil else { return nil }
        owner.pending = nil
        return owner
    }

    mutating func removeAll() {
        owners.removeAll()
        free.removeAll()
    }

    private mutating func take(_ owner: LabTimed) -> UInt32 {
        let slot: UInt32
        if let reused = free.popLast() {
            slot = reused
            owners[Int(slot)] = owner
        } else {
            slot = UInt32(owners.count)
            owners.append(owner)
        }
        owner.slot = slot
        return slot
    }
}
