// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// The options of a stream, set and read on the event loop without a future.
struct StreamChannelOptions: NIOSynchronousChannelOptions {
    let channel: StreamChannel

    func setOption<Option: ChannelOption>(_ option: Option, value: Option.Value) throws {
        try channel.setOption0(option, value: value)
    }

    func getOption<Option: ChannelOption>(_ option: Option) throws -> Option.Value {
        try channel.getOption0(option)
    }
}
