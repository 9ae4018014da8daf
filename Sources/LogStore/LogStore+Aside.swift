// SPDX-License-Identifier: Apache-2.0
//
// LogStore+Aside.swift
// A log that is damaged makes room for a whole one, and is kept for people to look at.

public import Model

extension LogStore {
    /// Where the files of logs go that were put aside, in the data directory.
    static let asideDirectory = "damaged"

    /// Puts the files of a group aside and forgets its log; returns where they are.
    ///
    /// The log must be closed. Blocks on the disk. A crash in between leaves a group without its files, which is damaged.
    public func setAside(_ id: GroupID) throws(StoreError) -> String {
        let place = try moveFiles(of: id)
        try deleteGroup(id)
        return place
    }
}
