"""Families of some languages, by their codes, to colour the map of z and to say whether neighbours are related."""

# The large families of the World Atlas of Language Structures (Dryer and Haspelmath 2013, https://wals.info/languoid),
# the smaller branches where a family spans continents; languages that are not listed are not counted.
_CODES = {
    "Bantu": "bem cjk kde kin kmb kng kqn ktu lin loz lua lue lug lun nba nbl ndo nso nya nyn run sna sot ssw suk swb "
    "swh toi tsn tso umb ven vmw xho yao zdj zul",
    "Kwa and Gur": "ada ajg bba bci dag dga ewe fat fon gaa gej gjn kbp kdh lob mfq mos nzi tbz twi xsm",
    "Mande": "bam dyu emk gkp men snk sus",
    "Germanic": "afr dan deu eng fao fry gsw isl ltz nds nld nno nob sco swe",
    "Romance": "ast cat cos fra frp fur glg ita lad lat lij lld mwl mxi oci pcd por rgn roh ron rup spa src vec wln",
    "Slavic": "bos ces cnr hrv hsb pol slk slv srp",
    "Turkic": "azb azj crh gag slr tuk tur uig uzn",
    "Uralic": "ekk fin fkv hun krl sme smn vep",
    "Austronesian": "abs ace ami ban bcl bjn bug buc ceb cha chk fij haw hil ilo ind jav koo mad mah min mri niu pam "
    "plt pau pmy pon rar smo sun tah tdt tet tgl ton war yap zlm",
    "Quechuan": "que qug quh qul quy quz qva qvc qvh qvm qvn qwh qxn qxu",
    "Mayan": "cak hus kek mam quc toj tzh tzo yua",
    "Arawakan": "ame cab cni cot cpu guc not trn",
    "Panoan": "amc cbr mcd mcf shp",
    "Hmong-Mien": "hea hms hnj",
    "Cushitic": "aar dbr gaz jii sid som ymm",
    "Kuki-Chin": "cfm cnh ctd hlt lus",
}
FAMILIES = {code: family for family, codes in _CODES.items() for code in codes.split()}
