set encoding utf8
set terminal svg size 760,400 font "Helvetica,13" noenhanced background rgb "white"
set border 3 lc rgb "#5d6675"
set tics nomirror
set grid ytics lc rgb "#dfe3ea" lt 1
set style fill solid noborder
$data0 << EOD
1 112 78.75 145.25 ""
EOD
$data1 << EOD
1 120 84.375 155.625 ""
EOD
$data2 << EOD
1 240 168.75 311.25 ""
EOD
set xlabel "token"
set offsets graph 0, graph 0.1, 0, 0
set ylabel "ms"
set logscale y
set format y "%g"
set key outside top center horizontal
plot $data0 using 1:3:4 with filledcurves fs transparent solid 0.18 noborder lc rgb "#0072b2" notitle, $data0 using 1:2 with points pt 7 lc rgb "#0072b2" title "baseline", $data1 using 1:3:4 with filledcurves fs transparent solid 0.18 noborder lc rgb "#e69f00" notitle, $data1 using 1:2 with points pt 7 lc rgb "#e69f00" title "N=2", $data2 using 1:3:4 with filledcurves fs transparent solid 0.18 noborder lc rgb "#009e73" notitle, $data2 using 1:2 with points pt 7 lc rgb "#009e73" title "offload"
</svg>
