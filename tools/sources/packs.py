"""Sound effects in Debian packages of games and teaching programs, by name pattern.

A pack is a folder or an archive of a package; each of its patterns names the files that belong to a
group, and the first that matches counts. What matches none is left out; so are recordings that
several packs have, in all but one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tools.sources.archives import folder, opensfx, qt_resources, xmoto, zipped
from tools.sources.tables import RCC

GAMES = "usr/share/games"
KTUBERLING_TONGUES = "da/* de/* es/* fi/* fr/* it/* nl/* ru/* sv/* uk/*"
SPOKEN_STAMPS = (
    "*_desc_ru.ogg *_desc_fr.ogg *_desc_ca.ogg *_desc_bg.ogg *_desc_ro.ogg *_desc_be.ogg "
    "*_desc_el.ogg *_desc_da.ogg *_desc_es.ogg *_desc.ogg"
)
Members = Callable[[Path], Iterator[tuple[str, bytes]]]


@dataclass(frozen=True)
class Pack:
    """One package's sounds.

    Args:
        source: name in the manifest.
        licence: of the sounds used.
        path: folder or archive, relative to the unpacked packages.
        members: yields the (name, bytes) in it.
        patterns: (fnmatch pattern, group), the first match counts.
        limits: most files for a pattern, chosen by digest.
    """

    source: str
    licence: str
    path: str
    members: Members
    patterns: tuple[tuple[str, str | None], ...]
    limits: dict[str, int] = field(default_factory=dict)


def _patterns(**groups: str) -> tuple[tuple[str, str | None], ...]:
    return tuple(
        (pattern, None if group == "nothing" else group)
        for group, patterns in groups.items()
        for pattern in patterns.split()
    )


# fmt: off
PACKS = (
    Pack("gcompris", "GPL-3+", f"{RCC}/instruments.rcc", qt_resources, _patterns(
        nothing="*harmonica.ogg *triangle.ogg *maracas.ogg *castanets.ogg *tambourine.ogg",
        drum="*snare_drum.ogg *bongo.ogg *cymbal.ogg *timpani.ogg",
        bowed_strings="*violin.ogg *cello.ogg", accordion="*accordion.ogg",
        guitar="*guitar.ogg *banjo.ogg", piano="*piano.ogg", harp="*harp.ogg", organ="*organ.ogg",
        brass="*trumpet.ogg *horn.ogg *tuba.ogg *trombone.ogg",
        reed="*saxophone.ogg *clarinet.ogg", flute="*flute_traversiere.ogg",
    )),
    Pack("gcompris", "GPL-3+", f"{RCC}/explore_farm_animals.rcc", qt_resources, _patterns(
        bird="*owl.ogg", pig="*pig.ogg", poultry="*chickens.ogg", cat="*cat.ogg",
        horse="*horse.ogg", cow="*cow.ogg", dog="*dog.ogg", duck="*duck.ogg", sheep="*sheep.ogg",
    )),
    Pack("gcompris", "Free-Art-1.2", f"{RCC}/memory-sound.rcc", qt_resources, _patterns(
        car="*CarEngine*", drum="*gong*", guitar="*guitar_*", dog="*Bark*", train="*Train*",
        frog="*Frogs*", nothing="*Applauses* *Rain* *Factory* *Weird* *Object_falling* *Heart*",
    )),
    Pack("gcompris", "CC0-1.0", f"{RCC}/explore_world_music.rcc", qt_resources, _patterns(
        drum="*africa.ogg *japan.ogg",
    )),
    Pack("widelands", "GPL-2+", f"{GAMES}/widelands/data", folder, _patterns(
        bird="sound/animals/bird*", pig="sound/animals/boar*", insect="sound/animals/crickets*",
        dog="sound/animals/coyote* sound/animals/wolf*", frog="sound/animals/frog*",
        horse="sound/farm/donkey* sound/farm/horse_0[1-9]*", cow="sound/farm/ox*",
        duck="world/critters/duck/duck*",
        tool="sound/atlanteans/cutting/* sound/atlanteans/saw/* sound/hammering/* sound/sawmill/* "
        "sound/smiths/* sound/stonecutting/* sound/woodcutting/*woodcutting*",
        nothing="sound/animals/moose* sound/animals/stag* sound/empire/*bubble* sound/fisher/* "
        "sound/metal/f* sound/mill/*",
    )),
    Pack("xmoto", "GPL-2+", f"{GAMES}/xmoto/xmoto.bin", xmoto, _patterns(
        motorcycle="*ridden_*",
    )),
    Pack("opensfx", "CC0 or CC-BY-3.0", f"{GAMES}/openttd/baseset/opensfx/opensfx.cat", opensfx,
        _patterns(
            train="04 10 13 65 71", boat="06 07", bell="14", aircraft="08 09 24 59 61 69",
            car="25 27 28 35", tool="33 39 40 56", sheep="36", cow="37", horse="38",
            big_cat="67", monkey="68", bird="66 72",
            nothing="02 11 12 17 18 20 22 29 52 54 57",
        )),
    Pack("simutrans", "Artistic-1.0", f"{GAMES}/simutrans/pak/sound", folder, _patterns(
        car="truck.wav bus.wav", train="diesel.wav steam.wav", horse="horse.wav",
        aircraft="comet-jet.wav planelow.wav", bird="seagulls.wav", boat="boat-horn.wav",
        tool="jackhammer.wav buzzsaw.wav tree-cutting.wav", bell="crossing.wav",
        nothing="Water.wav desert.wav arctic.wav explosion.wav",
    )),
    Pack("lincity-ng", "GPL-2+", f"{GAMES}/lincity-ng/sounds", folder, _patterns(
        train="RailTrain*", car="TraficHigh* TraficLow*", tool="Blacksmith*",
        aircraft="ParklandPlane*", nothing="SportsCroud* Water* Rocket?.wav Fire?.wav",
    )),
    Pack("torcs", "Free-Art-1.3 or GPL-2+", f"{GAMES}/torcs/data/sound", folder, _patterns(
        nothing="crash* bottom_crash* skid* out_of_road* road-ride* backfire* gear* boom* axle* "
        "locked* turbo*",
        car="*.wav",
    )),
    Pack("supertuxkart", "CC-BY-SA-3.0 or freer", f"{GAMES}/supertuxkart/data", folder, _patterns(
        train="library/stklib_steamLocomotive_a/steamLocomotive.ogg",
        aircraft="*airplane_jetEngine.ogg", clock="*/clock.ogg",
        car="*/car_accel.ogg */car_revup.ogg */engine_large.ogg */engine_small.ogg",
        tool="*/hammer.ogg */anvil.ogg", bird="*/exotic-birds*.ogg", cow="*/cow.ogg",
        sheep="*/sheep.ogg", nothing="*/rain.ogg */river_loop.ogg */waterfall*.ogg "
        "*/static-radio.ogg */thunder.ogg */fireworks_show.ogg",
    )),
    Pack("flightgear", "GPL-2+", f"{GAMES}/flightgear", folder, _patterns(
        aircraft="*c172p/Sounds/engine*.wav Sounds/helicopter.wav Sounds/rotor*.wav "
        "Sounds/engine-prop.wav Sounds/prop.wav Sounds/jet.wav Sounds/turbine_loop.wav "
        "Sounds/p51d_rpm1.wav Sounds/p51d_startup.wav Sounds/R-1535Slow.wav "
        "Sounds/blade_vortex.wav Sounds/exhaust_loop.wav",
        person="Sounds/tcas/* Sounds/mk-viii/*",
        nothing="Sounds/rain*.wav Sounds/thunder*.wav Sounds/fan.wav Sounds/radionoise.wav "
        "*water-*.wav *tires-*.wav",
    ), {"Sounds/tcas/*": 8, "Sounds/mk-viii/*": 8}),
    Pack("0ad", "CC-BY-SA-3.0", f"{GAMES}/0ad/mods/public/public.zip", zipped, _patterns(
        cow="*animal/cattle_*", poultry="*animal/chicken_*", elephant="*animal/elephant_[adst]*",
        bird="*animal/flamingo_* *animal/peacock_*", horse="*animal/horse_* *mounted/movement/*",
        big_cat="*animal/lion_*", pig="*animal/pig_[1s]*", sheep="*animal/sheep_* *death/goat_*",
        person="audio/voice/greek/* audio/voice/latin/* audio/voice/napatan/* "
        "audio/voice/persian/*",
        tool="audio/resource/lumbering/* audio/resource/mining/*",
        nothing="audio/ambient/water/river_* audio/ambient/water/wave_* audio/ambient/weather/* "
        "audio/attack/destruction/* *camel_*",
    ), {f"audio/voice/{tongue}/*": 20 for tongue in ("greek", "latin", "napatan", "persian")}
        | {"audio/resource/lumbering/*": 12, "audio/resource/mining/*": 12}),
    Pack("wesnoth", "GPL-2+", f"{GAMES}/wesnoth/1.16", folder, _patterns(
        bird="*ambient/birds*", horse="*/horse-canter.wav */horse-die* */horse-hit*",
        dog="*/wolf-*", person="*/human-*", gun="*/gunshot.wav */thunderstick*", bell="*/bell.wav",
        drum="*/wardrums.ogg", nothing="*/campfire.ogg */bow.ogg */lightning.ogg */sword-1.ogg",
    )),
    Pack("trigger-rally", "GPL-2+", f"{GAMES}/trigger-rally/data.zip", zipped, _patterns(
        car="*sounds/engine.wav", nothing="*sounds/wind.wav *sounds/gravel.wav",
        person="*codriver/ab/* *codriver/paula/* *codriver/tim/*",
    ), {f"*codriver/{name}/*": 8 for name in ("ab", "paula", "tim")}),
    Pack("openarena", "GPL-2+", f"{GAMES}/openarena/baseoa/pak0.pk3", zipped, _patterns(
        gun="*machinegun/machgf* *shotgun/sshotf* *vulcan/vulcanf*",
    )),
    Pack("minetest-homedecor", "CC-BY-SA-4.0", f"{GAMES}/minetest/mods/homedecor", folder,
        _patterns(
            household="*_faucet.ogg *_toilet_flush.ogg *_shower.ogg *toaster.ogg",
            bell="*_doorbell.ogg", nothing="*_door_open.ogg *fire_small.ogg *book_close.ogg",
        )),
    Pack("unknown-horizons", "CC-BY-SA-3.0", "usr/share/unknown-horizons", folder, _patterns(
        tool="*/lumberjack*.ogg */smith.ogg */stonemason.ogg", bell="*/ships_bell.ogg *chapel.ogg",
        sheep="*/sheepfield.ogg",
    )),
    Pack("scratch", "CC-BY-SA-3.0", "usr/share/scratch/Media/Sounds", folder, _patterns(
        dog="Animal/Dog* Animal/WolfHowl*", cat="Animal/Kitten* Animal/Meow* Animal/Cat.*",
        bird="Animal/Bird* Animal/Owl*", poultry="Animal/Rooster*",
        duck="Animal/Duck* Animal/Goose*",
        horse="Animal/Horse*", insect="Animal/Cricket*", sea_mammal="Animal/SeaLion*",
        person="Human/Laugh* Human/Scream* Human/Cough* Human/BabyCry* Human/Sneeze* Vocals/*",
        guitar="*/GuitarStrum* *GuitarChords*", brass="*/Trumpet*", mallets="*/[xX]ylo*",
        drum="*/Gong* */CymbalCrash* */RideCymbal* */DrumBuzz* */DrumSet* */Drum.mp3",
        motorcycle="*/MotorcyclePassing*", car="*/CarPassing*", bell="*/BellToll*",
        household="*/SewingMachine* */WaterRunning*",
        nothing="*/Footsteps* */PartyNoise* */WaterDrop* */Typing* */Door* */Bubbles* */Rattle* "
        "Electronic/* */Shaker* */HandClap*",
    )),
    Pack("megaglest", "CC-BY-SA-3.0", f"{GAMES}/megaglest", folder, _patterns(
        poultry="*/chicken_[as]*.wav */chicken.wav */rooster.ogg", elephant="*/ele*.wav",
        sheep="*/sheep*.wav", pig="*/pig_*.wav", cow="*/cow_*.wav */bull_*.wav */mudchute_cow*",
        insect="*/bee*.wav", bird="*/hawk.ogg */owl.ogg */eagle_*.wav", dog="*/wolf*.wav",
    )),
    Pack("searchandrescue", "GPL-2+", f"{GAMES}/searchandrescue/sounds", folder, _patterns(
        aircraft="*engine_outside*.wav *engine_inside*.wav *engine_start*.wav *_shutdown*.wav",
        nothing="*thunder*.wav *splash*.wav",
    )),
    Pack("sonic-pi", "CC0-1.0", "usr/share/sonic-pi/samples", folder, _patterns(
        drum="drum_* tabla_* loop_amen* loop_breakbeat* loop_tabla* loop_safari* sn_*",
        guitar="guit_*", bird="misc_crow*",
        nothing="ambi_* perc_* glitch_* elec_* vinyl_*",
    ), {"perc_*": 6, "glitch_*": 6, "elec_*": 6, "vinyl_*": 3}),
    Pack("freedesktop", "GPL-2+", "usr/share/sounds/freedesktop/stereo", folder, _patterns(
        telephone="phone-incoming-call.oga", clock="alarm-clock-elapsed.oga",
        nothing="phone-outgoing-busy.oga",
    )),
    Pack("asterisk", "CC-BY-SA-3.0", "usr/share/asterisk/sounds", folder, _patterns(
        nothing="*silence* *beep*",
        person="*en_US*/*.wav *fr*/*.wav *es_MX*/*.wav *it_IT*/*.wav "
        "*ru_RU*/*.wav",
    ), {"*en_US*/*.wav": 40, "*fr*/*.wav": 30, "*es_MX*/*.wav": 20,
        "*it_IT*/*.wav": 20, "*ru_RU*/*.wav": 20, "*silence*": 0, "*beep*": 0}),
    Pack("ktuberling", "GPL-2+", "usr/share/ktuberling/sounds", folder, _patterns(
        person=KTUBERLING_TONGUES,
    ), dict.fromkeys(KTUBERLING_TONGUES.split(), 3)),
    Pack("tuxpaint-speech", "GPL-2+", "usr/share/tuxpaint/stamps", folder, _patterns(
        person=SPOKEN_STAMPS,
    ), dict.fromkeys(SPOKEN_STAMPS.split(), 12)),
)
# fmt: on
