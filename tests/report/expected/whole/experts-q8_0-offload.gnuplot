set encoding utf8
set terminal svg size 760,400 font "Helvetica,13" noenhanced background rgb "white"
set border 3 lc rgb "#5d6675"
set tics nomirror
set grid ytics lc rgb "#dfe3ea" lt 1
set style fill solid noborder
$data0 << EOD
2 0 100
3 1 100
EOD
set xlabel "expert"
set ylabel "layer"
set xtics ("0" 0, "1" 1, "2" 2, "3" 3)
set xrange [-0.5:3.5]
set ytics ("0" 0, "1" 1)
set yrange [1.5:-0.5]
unset grid
set cblabel "% of choices"
set cbrange [0:*]
set palette defined (0 "#440154", 1 "#3b528b", 2 "#21918c", 3 "#5ec962", 4 "#fde725")
set key outside top center horizontal
plot $data0 using 1:2:($1-0.5):($1+0.5):($2-0.5):($2+0.5):3 with boxxyerror fs solid noborder lc palette notitle
</svg>
