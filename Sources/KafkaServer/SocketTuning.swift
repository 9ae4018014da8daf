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
    /// Receive buffers grow to 256 KiB while a client fills them, so that a large request takes few reads and what was read
    /// is still in the processor's cache when it is copied, and shrink to 4 KiB for a client that sends little, because
    /// every connection keeps one.
    static let receiveBuffers = AdaptiveRecvByteBufferAllocator(minimum: 4 << 10, initial: 16 << 10, maximum: 256 << 10)

    /// How many bytes make a socket readable.
    static let lowWater = ChannelOptions.Types.SocketOption(
        level: SocketOptionLevel(SOL_SOCKET), name: SocketOptionName(SO_RCVLOWAT))

    /// Leaves IPv4 to the socket that listens on it.
    static let onlyIPv6 = ChannelOptions.Types.SocketOption(
        level: SocketOptionLevel(IPPROTO_IPV6), name: SocketOptionName(IPV6_V6ONLY))
}
