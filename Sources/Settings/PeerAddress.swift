// SPDX-License-Identifier: Apache-2.0
//
// PeerAddress.swift
// A broker of the cluster as configurations name it: its id and where its peer listener is.

public import Model

/// `id@host:port`, or only the id where discovery finds the address.
public struct PeerAddress: Hashable, Sendable, CustomStringConvertible, SettingListElement {
    /// The broker.
    public let id: NodeID
    /// Where its peer listener is; nil when discovery has to say.
    public let address: NetworkAddress?

    /// Makes an entry from its parts.
    public init(id: NodeID, address: NetworkAddress?) {
        self.id = id
        self.address = address
    }

    /// Reads `1@host:port` or `1`.
    public init(parsing text: String) throws(SettingValueError) {
        let parts = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let number = Int32(first), number >= 0 else {
            throw SettingValueError("has an entry that is not id@host:port: \(text)")
        }
        guard parts.count == 2 else {
            self.init(id: NodeID(rawValue: number), address: nil)
            return
        }
        let address: NetworkAddress
        do throws(SettingValueError) {
            address = try NetworkAddress(parsing: String(parts[1]))
        } catch {
            throw SettingValueError("has an entry that \(error.reason): \(text)")
        }
        guard !address.isWildcard, address.port > 0 else {
            throw SettingValueError("has an entry no broker could connect to: \(text)")
        }
        self.init(id: NodeID(rawValue: number), address: address)
    }

    /// As it is written in a file.
    public var description: String { address.map { "\(id.rawValue)@\($0)" } ?? "\(id.rawValue)" }
}
