"""The tables of ``index.sqlite``, as migrations that only ever go forward.

A store written by any earlier version is brought up to date when it is opened. Never edit a migration that has been
released: add the next one.
"""

from __future__ import annotations

from sqlite_utils import Database, Migrations

migrations = Migrations("store")

FIRST = (
    """
    CREATE TABLE coin (
        id TEXT PRIMARY KEY,            -- accession number, or a catalogue's own name for the specimen
        type TEXT,                      -- what it depicts, or its denomination; many coins share one
        diameter_mm REAL
    ) STRICT
    """,
    """
    CREATE TABLE tray (
        id TEXT PRIMARY KEY
    ) STRICT
    """,
    """
    CREATE TABLE slot (                 -- what the tray file last said; a session keeps its own copy
        tray_id TEXT NOT NULL REFERENCES tray(id),
        number INTEGER NOT NULL CHECK (number >= 1),
        coin_id TEXT REFERENCES coin(id),
        PRIMARY KEY (tray_id, number)
    ) STRICT
    """,
    """
    CREATE TABLE file (                 -- content-addressed bytes under files/
        sha256 TEXT PRIMARY KEY CHECK (length(sha256) = 64),
        suffix TEXT NOT NULL,           -- ".jxl", ".jpg"
        size INTEGER NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE calibration (
        id TEXT PRIMARY KEY,
        created_at TEXT NOT NULL,
        folder TEXT NOT NULL            -- under the lab's calibrations/
    ) STRICT
    """,
    """
    CREATE TABLE session (
        id TEXT PRIMARY KEY,
        kind TEXT NOT NULL CHECK (kind IN ('scan', 'import')),
        name TEXT NOT NULL,             -- the tray, or the imported folder
        tray TEXT,                      -- JSON, frozen; NULL when imported
        plan TEXT,                      -- JSON, frozen; NULL when imported
        calibration_id TEXT REFERENCES calibration(id),
        devices TEXT NOT NULL,          -- JSON list of what each device said of itself
        software TEXT NOT NULL,
        started_at TEXT NOT NULL,
        finished_at TEXT                -- NULL while there is something left to do
    ) STRICT
    """,
    """
    CREATE TABLE shot (
        session_id TEXT NOT NULL REFERENCES session(id),
        id TEXT NOT NULL,
        position INTEGER NOT NULL,      -- in the plan's order
        coin_id TEXT NOT NULL REFERENCES coin(id),
        content TEXT NOT NULL,          -- JSON of which id is the hash
        PRIMARY KEY (session_id, id)
    ) STRICT
    """,
    """
    CREATE TABLE frame (
        id TEXT PRIMARY KEY,
        session_id TEXT NOT NULL REFERENCES session(id),
        shot_id TEXT,                   -- NULL when imported
        attempt INTEGER NOT NULL,       -- 1, then one more for each retake
        placement TEXT NOT NULL,        -- frames of one coin side and placement differ by known angles only
        coin_id TEXT NOT NULL REFERENCES coin(id),
        side TEXT CHECK (side IN ('obverse', 'reverse')),
        sha256 TEXT NOT NULL REFERENCES file(sha256),
        calibrated_sha256 TEXT REFERENCES file(sha256),
        calibration_id TEXT REFERENCES calibration(id),
        camera TEXT,                    -- JSON
        turntable_deg REAL,             -- commanded
        turntable_read_deg REAL,        -- read back
        tilt_deg REAL,
        light TEXT,
        exposure_us INTEGER,
        gain REAL,
        mm_per_pixel REAL,
        quality TEXT NOT NULL,          -- JSON
        quarantine_reason TEXT,         -- NULL when good
        source TEXT,                    -- file name it was imported from
        taken_at TEXT NOT NULL,
        FOREIGN KEY (session_id, shot_id) REFERENCES shot(session_id, id)
    ) STRICT
    """,
    "CREATE UNIQUE INDEX frame_once ON frame(session_id, shot_id) WHERE quarantine_reason IS NULL",
    "CREATE UNIQUE INDEX frame_attempt ON frame(session_id, shot_id, attempt)",
    "CREATE UNIQUE INDEX frame_source ON frame(session_id, source)",
    "CREATE INDEX frame_coin ON frame(coin_id, side)",
    "CREATE INDEX frame_sha256 ON frame(sha256)",
    "CREATE INDEX frame_calibrated ON frame(calibrated_sha256)",
    """
    CREATE TABLE entry (                -- one coin side in one lot or record of a catalogue
        id TEXT PRIMARY KEY,
        coin_id TEXT NOT NULL REFERENCES coin(id),
        side TEXT CHECK (side IN ('obverse', 'reverse')),
        catalogue TEXT NOT NULL,
        sha256 TEXT NOT NULL REFERENCES file(sha256),
        source TEXT NOT NULL,
        box TEXT,                       -- JSON [left, top, right, bottom] px of the side within the picture
        added_at TEXT NOT NULL,
        removed_at TEXT                 -- NULL while it is matched against
    ) STRICT
    """,
    "CREATE INDEX entry_coin ON entry(coin_id)",
    "CREATE INDEX entry_sha256 ON entry(sha256)",
    """
    CREATE TABLE model (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        card TEXT NOT NULL,             -- JSON
        added_at TEXT NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE embedding (            -- of a frame or an entry, by its id
        model_id TEXT NOT NULL REFERENCES model(id),
        image_id TEXT NOT NULL,
        pooled BLOB NOT NULL,           -- float32
        grid BLOB,                      -- float16
        grid_shape TEXT,                -- JSON [channels, rows, columns]
        PRIMARY KEY (model_id, image_id)
    ) STRICT
    """,
    """
    CREATE TABLE match (
        id INTEGER PRIMARY KEY,
        session_id TEXT NOT NULL REFERENCES session(id),
        coin_id TEXT NOT NULL REFERENCES coin(id),      -- the coin that was looked for
        model_id TEXT NOT NULL REFERENCES model(id),
        rank INTEGER NOT NULL,
        candidate_coin_id TEXT NOT NULL REFERENCES coin(id),
        entry_id TEXT NOT NULL REFERENCES entry(id),
        score REAL NOT NULL,
        probability REAL NOT NULL,
        evidence TEXT NOT NULL,         -- JSON
        verdict TEXT NOT NULL,          -- of the whole ranking, the same in each of its rows
        created_at TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX match_session ON match(session_id, coin_id)",
    """
    CREATE TABLE event (                -- the journal: what was done and what happened, in order
        id INTEGER PRIMARY KEY,
        session_id TEXT REFERENCES session(id),
        at TEXT NOT NULL,
        kind TEXT NOT NULL,
        detail TEXT NOT NULL            -- JSON
    ) STRICT
    """,
    "CREATE INDEX event_session ON event(session_id, kind)",
)


@migrations()
def m001_first(db: Database) -> None:
    """Create every table of version 0.1."""
    for statement in FIRST:
        db.execute(statement)
