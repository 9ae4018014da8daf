// SPDX-License-Identifier: Apache-2.0
//
// BrokerAddress.swift
// A host and a port, as lists of brokers write them.

/// Where a broker listens.
public struct BrokerAddress: Hashable, Sendable, CustomStringConvertible {
    /// The port that is meant when none is written.
    public static let defaultPort = 9092

    /// A name or an address, without brackets.
    public let host: String
    /// 1 to 65535.
    public let port: Int

    /// Creates an address.
    public init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Reads `host`, `host:port`, `[::1]:port` or `::1`; nil for anything else.
    public init?(parsing text: String) {
        var host = Substring(text)
        var port = Self.defaultPort
        if text.first == "[" {
            guard let close = text.firstIndex(of: "]") else { return nil }
            host = text[text.index(after: text.startIndex)..<close]
            let rest = text[text.index(after: close)...]
            guard rest.isEmpty || rest.first == ":" else { return nil }
            if !rest.isEmpty {
                guard let number = Self.port(rest.dropFirst()) else { return nil }
                port = number
            }
        } else if let colon = text.firstIndex(of: ":"), text.lastIndex(of: ":") == colon {
            host = text[..<colon]
            guard let number = Self.port(text[text.index(after: colon)...]) else { return nil }
            port = number
        }
        guard !host.isEmpty, !host.contains(where: \.isWhitespace) else { return nil }
        self.init(host: String(host), port: port)
    }

    /// Reads a list separated by commas; nil when it is empty or one of its members makes no sense.
    public static func list(parsing text: String) -> [BrokerAddress]? {
        let members = text.split(separator: ",", omittingEmptySubsequences: false).map { String($0) }
        let addresses = members.compactMap { BrokerAddress(parsing: $0) }
        return addresses.count == members.count ? addresses : nil
    }

    private static func port(_ digits: Substring) -> Int? {
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = Int(digits),
            (1...65_535).contains(port)
        else { return nil }
        return port
    }

    /// The form that ``init(parsing:)`` reads.
    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
