// SPDX-License-Identifier: Apache-2.0
//
// AddressResolution.swift
// From a configured host to the addresses to listen on.

import NIOCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Finds the addresses of a host.
enum AddressResolution {
    /// Every IPv4 and IPv6 address of `host` with `port`, IPv4 first; `*` gives the two wildcard addresses.
    ///
    /// Blocks while names are resolved: only at start.
    static func addresses(host: String, port: Int) throws(KafkaServerError) -> [SocketAddress] {
        let names = host == "*" ? ["0.0.0.0", "::"] : numericAddresses(of: host)
        var addresses: [SocketAddress] = []
        for name in names {
            guard let address = try? SocketAddress(ipAddress: name, port: port) else { continue }
            if !addresses.contains(address) { addresses.append(address) }
        }
        guard !addresses.isEmpty else { throw .unknownHost(host) }
        return addresses.filter { $0.protocol == .inet } + addresses.filter { $0.protocol != .inet }
    }

    /// What the system's resolver says, as text.
    private static func numericAddresses(of host: String) -> [String] {
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var first: UnsafeMutablePointer<addrinfo>?
        // The list is ours until freeaddrinfo, and nothing of it is kept.
        guard unsafe getaddrinfo(host, nil, &hints, &first) == 0 else { return [] }
        defer { unsafe freeaddrinfo(first) }
        var names: [String] = []
        var next = unsafe first
        while let entry = unsafe next {
            // NI_MAXHOST: no numeric address is longer.
            var text = [CChar](repeating: 0, count: 1025)
            // The entry's address and length belong together, and the buffer's length is its own.
            let result = unsafe getnameinfo(
                entry.pointee.ai_addr, entry.pointee.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
            if result == 0 {
                names.append(String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self))
            }
            unsafe next = entry.pointee.ai_next
        }
        return names
    }
}
