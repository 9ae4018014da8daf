// SPDX-License-Identifier: Apache-2.0
//
// AddressRange.swift
// A block of IP addresses, written as CIDR: who may connect to a listener.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// `10.0.0.0/8`, `fd00::/8`, or one address without a length.
public struct AddressRange: Hashable, Sendable, CustomStringConvertible, SettingListElement {
    /// The address's bytes: 4 or 16.
    public let bytes: [UInt8]
    /// How many leading bits must agree.
    public let prefixLength: Int
    /// As it is written in a file.
    public let description: String

    /// Reads an address with or without `/length`.
    public init(parsing text: String) throws(SettingValueError) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let bytes = Self.addressBytes(String(first)) else {
            throw SettingValueError("has an entry that is not a range of addresses such as 10.0.0.0/8: \(text)")
        }
        var length = bytes.count * 8
        if parts.count == 2 {
            guard let number = Int(parts[1]), (0...length).contains(number) else {
                throw SettingValueError("has an entry whose length is not 0 to \(length): \(text)")
            }
            length = number
        }
        self.bytes = bytes
        self.prefixLength = length
        self.description = text
    }

    /// Whether the address with the text `address` lies in the range; an IPv4 address in IPv6 clothing counts as IPv4.
    public func contains(_ address: String) -> Bool {
        guard var other = Self.addressBytes(address) else { return false }
        let mapped: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]
        if other.count == 16, bytes.count == 4, other.starts(with: mapped) { other = Array(other.suffix(4)) }
        guard other.count == bytes.count else { return false }
        return (0..<prefixLength).allSatisfy { bit in
            (bytes[bit / 8] ^ other[bit / 8]) & (0x80 >> UInt8(bit % 8)) == 0
        }
    }

    /// The bytes of a written address in network order; nil when it is none.
    static func addressBytes(_ text: String) -> [UInt8]? {
        let isIPv6 = text.contains(":")
        var bytes = [UInt8](repeating: 0, count: isIPv6 ? 16 : 4)
        // Sound: `inet_pton` writes exactly 16 or 4 bytes for these families, which is the array's size.
        let read = unsafe bytes.withUnsafeMutableBytes {
            unsafe inet_pton(isIPv6 ? AF_INET6 : AF_INET, text, $0.baseAddress)
        }
        return read == 1 ? bytes : nil
    }
}
