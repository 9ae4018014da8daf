// SPDX-License-Identifier: Apache-2.0
//
// SocketTuning.swift
// What the sockets of clients are set to, and why.

import NIOCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Socket options.
enum SocketTuning {
    /// Receive buffers grow to 1 MiB while a client fills them, so that a large request takes few reads and copies, and
    /// shrink to 4 KiB for a client that sends little, because every connection keeps one.
    static let receiveBuffers = AdaptiveRecvByteBufferAllocator(minimum: 4 << 10, initial: 16 << 10, maximum: 1 << 20)

    /// Leaves IPv4 to the socket that listens on it.
    static let onlyIPv6 = ChannelOptions.Types.SocketOption(
        level: SocketOptionLevel(IPPROTO_IPV6), name: SocketOptionName(IPV6_V6ONLY))

    /// Chooses CUBIC for clients on this machine: algorithms that pace by measured rates, as BBR does, hold loopback back.
    static func tune(_ channel: any Channel) {
        guard let address = channel.remoteAddress?.ipAddress, address == "::1" || address.hasPrefix("127."),
            let options = channel as? any SocketOptionProvider
        else { return }
        // Where the kernel has no CUBIC its own default stays; that is no error.
        _ = options.unsafeSetSocketOption(
            level: NIOBSDSocket.OptionLevel(rawValue: CInt(IPPROTO_TCP)),
            name: NIOBSDSocket.Option(rawValue: CInt(TCP_CONGESTION)), value: cubic)
    }

    /// The letters of "cubic" and three zeroes, in the order they lie in memory: the option takes a C string.
    private static let cubic: UInt64 = {
        let letters = Array("cubic".utf8) + [0, 0, 0]
        return letters.reversed().reduce(0) { $0 << 8 | UInt64($1) }.littleEndian
    }()
}
