// SPDX-License-Identifier: Apache-2.0
//
// NetworkAddress.swift
// A host and a port, as listeners and clients write them.

/// `host:port`; IPv6 addresses stand in brackets.
public struct NetworkAddress: Hashable, Sendable, CustomStringConvertible {
    /// A name, an address without brackets, or `*` for every address of the machine.
    public let host: String
    /// 0 lets the system choose.
    public let port: Int

    /// Makes an address from its parts.
    public init(host: String, port: Int) {
        precondition((0...65_535).contains(port), "no port: \(port)")
        self.host = host
        self.port = port
    }

    /// Reads `host:port`, `[::1]:port` or `*:port`.
    public init(parsing text: String) throws(SettingValueError) {
        if text.contains("://") { throw SettingValueError("names a protocol; write only host:port") }
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (0...65_535).contains(port)
        else { throw SettingValueError("is not host:port") }
        var host = text[..<colon]
        if host.hasPrefix("[") && host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            throw SettingValueError("has an IPv6 address without brackets; write [\(host)]:\(port)")
        }
        guard !host.isEmpty, !host.contains(where: { $0.isWhitespace || $0 == "/" }) else {
            throw SettingValueError("has no host before the port")
        }
        self.init(host: String(host), port: port)
    }

    /// Whether the host stands for every address, so that no client could connect to it.
    public var isWildcard: Bool { ["*", "0.0.0.0", "::"].contains(host) }

    /// As it is written in a file.
    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
